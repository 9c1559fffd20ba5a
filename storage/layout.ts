/**
 * Every key there is. A store holds records (small, compare-and-set) and content (large, write-once):
 *
 *   format.json                               what wrote this store: layout version, registry id
 *   secret/uploads                            the key that seals upload addresses
 *   secret/access, secret/keys                people, machines and rules; the keys that sign tokens
 *   audit/<number>                            who did what: lines of JSON, segment after segment, only ever added to
 *   repos/<N>                                 repository record: its rid. N is the name with "/" written "!"
 *   gone/<N>                                  how often a repository of this name was deleted: a new one gets a new rid
 *   m/<rid>/<alg>/<hex>                       manifest: one line of JSON, then its exact bytes
 *   t/<rid>/<tag>                             tag: the digest it points to, and the last 16 it pointed to before
 *   tgone/<rid>/<tag>                         what a deleted tag was, so that a delete can be undone
 *   ref/<rid>/<alg>/<subject-hex>/<alg>-<hex> referrer: a full descriptor
 *   b/<alg>/<hhh>/<hex>.p.<id>                placement: where bytes with this digest lie
 *   b/<alg>/<hhh>/<hex>.r.<rid>               link: repository <rid> holds this blob; says where, or holds it (<= 16 KiB)
 *   d/<ii>/<id>                               blob bytes and nothing else, or nothing: what an upload left that is gone;
 *                                             <id> is never used again
 *
 * A rid stands for a repository in keys, so that one of the same name made after a delete cannot see the old one's
 * blobs. It follows from registry id, name and number of deletes: two processes that make a repository agree on it.
 * "!" sorts before everything a name may hold, so keys sort like names, component by component.
 *
 * Uploads are the store's own business and have no key until they are complete. What is deletable either has a key
 * that is never used again or carries a nonce `n`, so that its etag changes with every write.
 */
import { createHash } from 'node:crypto'
import type { Digest, RepositoryName, Tag } from '../oci/names.ts'
import { algorithmOf, digestOf, hexOf } from '../oci/names.ts'

export const formatKey = 'format.json'
export const uploadSecretKey = 'secret/uploads'
export const accessKey = (name: 'access' | 'keys') => `secret/${name}`
export const journalPrefix = 'audit/'
/** Ten digits, so that keys sort as numbers do. */
export const journalKey = (segment: number) => `${journalPrefix}${String(segment).padStart(10, '0')}`
/** Undefined for what somebody else has put there. */
export const segmentOfKey = (key: string) =>
  /^audit\/\d{10}$/.test(key) ? Number(key.slice(journalPrefix.length)) : undefined
export const repositoryPrefix = 'repos/'

export type Rid = string

export function ridOf(registryId: string, name: RepositoryName, deletes: number): Rid {
  const hash = createHash('sha256').update(`${registryId}/${name}/${deletes}`).digest('hex')
  return BigInt(`0x${hash.slice(0, 25)}`)
    .toString(32)
    .padStart(20, '0')
}

const nameWord = (name: RepositoryName) => name.replaceAll('/', '!')
export const repositoryKey = (name: RepositoryName) => `${repositoryPrefix}${nameWord(name)}`
export const goneKey = (name: RepositoryName) => `gone/${nameWord(name)}`
/** The name in a key under `repositoryPrefix`; only names that a parser made get there. */
export const nameOfKey = (key: string) =>
  key.slice(repositoryPrefix.length).replaceAll('!', '/') as RepositoryName

export const manifestPrefix = (rid: Rid) => `m/${rid}/`
export const manifestKey = (rid: Rid, digest: Digest) => `m/${rid}/${algorithmOf(digest)}/${hexOf(digest)}`

export const tagPrefix = (rid: Rid) => `t/${rid}/`
export const tagKey = (rid: Rid, tag: Tag) => `t/${rid}/${tag}`
export const deletedTagKey = (rid: Rid, tag: Tag) => `tgone/${rid}/${tag}`
/** The last word of a tag's key; only tags that a parser made get there. */
export const tagOfKey = (key: string) => key.slice(key.lastIndexOf('/') + 1) as Tag

export const referrerPrefix = (rid: Rid, subject: Digest) =>
  `ref/${rid}/${algorithmOf(subject)}/${hexOf(subject)}/`
const referrerWord = (digest: Digest) => `${algorithmOf(digest)}-${hexOf(digest)}`
export const referrerKey = (rid: Rid, subject: Digest, digest: Digest) =>
  `${referrerPrefix(rid, subject)}${referrerWord(digest)}`

/** 4096 folders: few enough that a push seldom makes one, enough that none grows long. */
const blobPrefix = (digest: Digest) =>
  `b/${algorithmOf(digest)}/${hexOf(digest).slice(0, 3)}/${hexOf(digest)}`
export const placementPrefix = (digest: Digest) => `${blobPrefix(digest)}.p.`
export const placementKey = (digest: Digest, contentKey: string) =>
  `${placementPrefix(digest)}${contentKey.slice(contentKey.lastIndexOf('/') + 1)}`
export const linkPrefix = (digest: Digest) => `${blobPrefix(digest)}.r.`
export const linkKey = (digest: Digest, rid: Rid) => `${linkPrefix(digest)}${rid}`

/** Content's key follows from its id: 256 folders, by the id's last (random) characters. */
export const contentKey = (id: string) => `d/${id.slice(-2)}/${id}`

/** The digest that the last two words of a manifest's key spell. */
export function digestOfKey(key: string): Digest {
  const words = key.split('/')
  return digestOf(words.at(-2) === 'sha512' ? 'sha512' : 'sha256', words.at(-1) ?? '')
}

/** What may be another for a moment without harm, where looking each time is dear: all but where tags point to. */
export const mayBeOld = (key: string) => !key.startsWith('t/')

/** What may be in a folder's log before it is a file: links. Whoever writes the same link writes what is as good. */
export const mayBeLogged = (key: string) => key.startsWith('b/') && key.includes('.r.')
/** Whether there may be links among the keys that begin like this. */
export const mayBeginLogged = (prefix: string) =>
  'b/'.startsWith(prefix.slice(0, 2)) && !prefix.includes('.p.')
