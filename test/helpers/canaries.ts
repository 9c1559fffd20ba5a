/**
 * Secrets that can be recognised, and a sweep for them through whatever the program has written: what it logs, what its
 * commands print, and every file of its folder. Helpers that start a server or run a command sweep by themselves when
 * that has ended, so a secret in a wrong place fails the test that put it there.
 */
import { appendFileSync, type Dirent, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { ObjectStore } from '../../storage/object-store.ts'
import { io } from './waiting.ts'

/** In every password that tests make up. */
const mark = 'c4n4ry'

/** A password that is found wherever it turns up, whole or in part, plain or in base64. */
export const canary = (what: string) => `${what} ${mark}`

/** Too short a text is found everywhere. */
const minLength = 12
const known = new Set<string>()

/** Has a secret looked for that no test has made up. */
export function secret<Text extends string>(text: Text): Text {
  const core = text.replace(/=+$/, '')
  if (core.length >= minLength) known.add(core)
  return text
}

/** What three bytes of base64 make of the mark, wherever it stands in what was encoded. */
const encodedMarks = [0, 1, 2].map(before =>
  Buffer.from(`${'.'.repeat(before)}${mark}${'.'.repeat(3)}`)
    .toString('base64')
    .slice(before === 0 ? 0 : before + 1, before === 0 ? 8 : before + 8),
)

const forms = {
  'a password': new RegExp([mark, ...encodedMarks].map(text => text.replaceAll('+', '\\+')).join('|')),
  'an API token': /slw_[prs]_[a-z2-7]{10}_[0-9A-Za-z]{38}/,
  'a signed token': /eyJ[\w-]{15,}\.[\w-]{10,}\.[\w-]{40,}/,
  'a private key': /"d":"[\w-]{43}"|PRIVATE KEY-----/,
  'a header that authorizes': /\b(?:Basic|Bearer) [\w+/.=-]{12,}/,
} as const

type Kind = keyof typeof forms | 'a secret that was shown'

/** Where a secret may be, and why; nowhere else. */
const allowed: readonly { readonly place: RegExp; readonly kinds: readonly Kind[]; readonly why: string }[] =
  [
    {
      place: /^secret\/keys$/,
      kinds: ['a private key'],
      why: 'the keys that sign are kept there, for the owner of the folder alone',
    },
    {
      place: /^the output of user (?:add|passwd)$/,
      kinds: ['a secret that was shown'],
      why: 'a password that is made is shown to who made it, once',
    },
    {
      place: /^the output of token create$/,
      kinds: ['an API token', 'a secret that was shown'],
      why: 'a token is shown to who made it, once',
    },
  ]

/** Folders of bytes as clients have sent them, which are theirs. */
const contentFolders = ['d', 'u']
/** No record is larger. */
const maxBytes = 8 * 1024 * 1024

/** The secrets in a text, each as a sentence that does not repeat it. */
export function leaksIn(text: string, place: string): readonly string[] {
  const found = new Set<Kind>()
  for (const [kind, form] of Object.entries(forms)) if (form.test(text)) found.add(kind as Kind)
  // One look at each word, however many secrets there are.
  for (const [word] of text.matchAll(/[\w+/.=-]{12,}/g))
    if (known.has(word) || word.split(/[/=]/).some(part => known.has(part)))
      found.add('a secret that was shown')
  return [...found]
    .filter(kind => !allowed.some(each => each.place.test(place) && each.kinds.includes(kind)))
    .map(kind => `${kind} is in ${place}`)
}

/** The secrets in the files of a registry's folder. */
export function leaksBelow(root: string): readonly string[] {
  const paths = entriesOf(root).flatMap(entry => {
    const path = join(root, entry.name)
    if (entry.isFile()) return [path]
    if (!entry.isDirectory() || contentFolders.includes(entry.name)) return []
    return entriesOf(path, true).flatMap(each => (each.isFile() ? [join(each.parentPath, each.name)] : []))
  })
  tally.files += paths.length
  return paths.flatMap(path => leaksIn(textOf(path), relative(root, path)))
}

/** Records of people, of what was done, and of names; a page of each. */
const swept = ['secret/', 'audit/', 'repos/', 't/']

/** The secrets in the records of a store that keeps them in memory. A store that is made to fail has nothing. */
export async function leaksInStore(store: ObjectStore): Promise<readonly string[]> {
  const found = swept.map(async prefix => {
    const { keys } = await store.list(prefix, { ...io, limit: 1_000 })
    const records = keys.map(async key => leaksIn(String((await store.read(key, io))?.bytes ?? ''), key))
    tally.files += keys.length
    return (await Promise.all(records)).flat()
  })
  return (await Promise.allSettled(found)).flatMap(each => (each.status === 'fulfilled' ? each.value : []))
}

/** Throws an error that names every place. */
export function sweep(leaks: readonly string[]): void {
  tally.sweeps++
  const report = process.env.SWEEP_REPORT
  if (report) appendFileSync(report, `${JSON.stringify(tally)}\n`)
  Object.assign(tally, nothing)
  if (leaks.length > 0) throw new Error(`secrets where they do not belong: ${[...new Set(leaks)].join('; ')}`)
}

/** What a server has logged. */
export function leaksInLog(lines: readonly object[]): readonly string[] {
  tally.lines += lines.length
  return leaksIn(lines.map(line => JSON.stringify(line)).join('\n'), 'the log')
}

const nothing = { sweeps: 0, files: 0, lines: 0 }
const tally = { ...nothing }

/** A folder that goes while it is looked at has nothing. */
function entriesOf(path: string, recursive = false): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true, recursive })
  } catch {
    return []
  }
}

function textOf(path: string): string {
  try {
    return statSync(path).size > maxBytes ? '' : readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
