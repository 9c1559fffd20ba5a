/**
 * Which blob a repository has is said by what was done in it, and by nothing that was done elsewhere (auth-security 3.3,
 * rows 16, 17 and 19): random pushes, mounts, manifests and deletes by several people, beside a model of a few lines.
 */
import { expect, it } from 'vitest'
import { storedRules, storedUser } from '../helpers/access.ts'
import { guarded } from '../helpers/guarded.ts'
import { digest, mediaTypes } from '../helpers/images.ts'
import { randomFrom } from '../helpers/random.ts'

const people = ['alice', 'bob', 'root'] as const
type Person = (typeof people)[number]
const repositories = ['a/one', 'a/two', 'b/one', 'b/two', 'open/x'] as const
type Repository = (typeof repositories)[number]
const mayPull = (who: Person, repository: Repository) =>
  who === 'root' || repository === 'open/x' || repository.startsWith(who === 'alice' ? 'a/' : 'b/')
const mayWrite = (who: Person, repository: Repository) =>
  mayPull(who, repository) && (who === 'root' || repository !== 'open/x')

const texts = ['one', 'two', 'three', 'four'] as const
const blobs = texts.map(text => ({ bytes: Buffer.from(text), digest: digest(Buffer.from(text)) }))
const [firstBlob = { bytes: Buffer.alloc(0), digest: digest(Buffer.alloc(0)) }, ...otherBlobs] = blobs
const manifestOf = (blob: (typeof blobs)[number]) => {
  const config = { mediaType: 'application/json', digest: blob.digest, size: blob.bytes.length }
  const body = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.oci.manifest, config, layers: [] }),
  )
  return { body, digest: digest(body) }
}

it.for([16, 17, 18])('knows a blob in a repository by what was done there (seed %i)', async seed => {
  const { oneOf } = randomFrom(Number(process.env.SEED ?? seed))
  await using registry = await guarded({
    users: people.map(each => storedUser(each)),
    rules: storedRules('delete a/** alice', 'delete b/** bob', 'pull open/** alice bob', 'delete ** root'),
  })
  /** What there is: `repository digest` for each blob, and for each manifest. */
  const links = new Set<string>()
  const manifests = new Set<string>()
  const seen = new Map<string, number>()

  async function step(): Promise<void> {
    const who = oneOf(people)
    const repository = oneOf(repositories)
    const blob = oneOf([firstBlob, ...otherBlobs])
    const link = `${repository} ${blob.digest}`
    const manifest = manifestOf(blob)
    const may = mayWrite(who, repository)
    const ask = async (kind: string, path: string, method: string, due: number, body?: Buffer) => {
      const headers = kind === 'manifest' ? { 'Content-Type': mediaTypes.oci.manifest } : {}
      const target = `/v2/${repository}/${path}`
      const { status } = await registry.as(who, target, { method, headers, ...(body && { body }) })
      const expected = may ? due : 403
      expect([seed, kind, who, link, status]).toEqual([seed, kind, who, link, expected])
      seen.set(`${kind} ${status}`, (seen.get(`${kind} ${status}`) ?? 0) + 1)
      return may
    }
    switch (oneOf(['push', 'mount', 'mount anywhere', 'manifest', 'delete manifest', 'delete'])) {
      case 'push':
        if (await ask('push', `blobs/uploads/?digest=${blob.digest}`, 'POST', 201, blob.bytes))
          links.add(link)
        return
      case 'mount': {
        const from = oneOf(repositories)
        const isTheirs = mayPull(who, from) && links.has(`${from} ${blob.digest}`)
        const path = `blobs/uploads/?mount=${blob.digest}&from=${from}`
        if ((await ask('mount', path, 'POST', isTheirs ? 201 : 202)) && isTheirs) links.add(link)
        return
      }
      case 'mount anywhere': {
        const isTheirs = repositories.some(each => mayPull(who, each) && links.has(`${each} ${blob.digest}`))
        const path = `blobs/uploads/?mount=${blob.digest}`
        if ((await ask('mount', path, 'POST', isTheirs ? 201 : 202)) && isTheirs) links.add(link)
        return
      }
      case 'manifest': {
        const due = links.has(link) ? 201 : 400
        if ((await ask('manifest', 'manifests/latest', 'PUT', due, manifest.body)) && due === 201)
          manifests.add(link)
        return
      }
      case 'delete manifest':
        if (
          await ask('unmanifest', `manifests/${manifest.digest}`, 'DELETE', manifests.has(link) ? 202 : 404)
        )
          manifests.delete(link)
        return
      default: {
        const due = !links.has(link) ? 404 : manifests.has(link) ? 405 : 202
        if ((await ask('delete', `blobs/${blob.digest}`, 'DELETE', due)) && due === 202) links.delete(link)
      }
    }
  }

  for (let count = 0; count < 250; count++) {
    await step()
    if (count % 10 > 0) continue
    const wrong = await Promise.all(
      people.flatMap(who =>
        repositories.flatMap(repository =>
          blobs.map(async ({ digest: of }) => {
            const { status } = await registry.as(who, `/v2/${repository}/blobs/${of}`, { method: 'HEAD' })
            const isThere = links.has(`${repository} ${of}`)
            const due = !mayPull(who, repository) ? 403 : isThere ? 200 : 404
            return status === due ? [] : [`${who} ${repository} ${of}: ${status} instead of ${due}`]
          }),
        ),
      ),
    )
    expect(wrong.flat()).toEqual([])
  }
  for (const outcome of ['push 201', 'mount 201', 'mount 202', 'manifest 201', 'manifest 400', 'delete 202'])
    expect([outcome, seen.has(outcome)]).toEqual([outcome, true])
})
