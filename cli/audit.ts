import { createHash } from 'node:crypto'
import { verifyChain } from '../auth/audit.ts'
import type { SettingFlags } from '../server/config-sources.ts'
import type { Outcome } from './command.ts'
import { untilDone } from './registries.ts'
import { inRegistry } from './registry-folder.ts'
import { UsageError } from './usage.ts'
import { sinceOf } from './words.ts'

type Print = (text: string) => void
type Flags = SettingFlags & { readonly json?: boolean | undefined }

export async function printAudit(
  flags: Flags & { readonly since?: string | undefined },
  print: Print,
): Promise<Outcome> {
  const sinceMs = flags.since === undefined ? undefined : sinceOf(flags.since, Date.now())
  return inRegistry(flags, 'existing', async ({ journal }) => {
    for await (const { text, place } of journal.lines(untilDone)) {
      const fields = fieldsOf(text)
      const at = Date.parse(fields?.at ?? '')
      // A line that cannot be read is never kept back.
      if (sinceMs !== undefined && at < sinceMs) continue
      if (flags.json) print(text)
      else print(fields ? sentence(fields) : `${place} cannot be read: see slipway audit verify`)
    }
    return 'done'
  })
}

/** Ends with `found` where the chain is broken. */
export async function verifyAudit(
  flags: Flags & { readonly known?: string | undefined },
  print: Print,
): Promise<Outcome> {
  const known = flags.known === undefined ? undefined : parseKnown(flags.known)
  return inRegistry(flags, 'existing', async ({ journal }) => {
    let lastPlace = ''
    let lines = 0
    let isKnownThere = known === undefined || known.seq === 0
    async function* texts() {
      for await (const { text, place } of journal.lines(untilDone)) {
        lastPlace = place
        lines++
        if (lines === known?.seq)
          isKnownThere = createHash('sha256').update(text).digest('hex') === known.hash
        yield text
      }
    }
    const verdict = await verifyChain(texts())
    const fault =
      verdict.kind === 'broken'
        ? { place: lastPlace, reason: verdict.reason }
        : isKnownThere
          ? undefined
          : { place: `line ${known?.seq}`, reason: 'it is not there, or another stands in its place' }
    if (flags.json)
      print(
        JSON.stringify({
          intact: fault === undefined,
          ...(fault ?? {}),
          end: verdict.kind === 'intact' ? verdict.end : null,
        }),
      )
    else if (fault) print(`broken at ${fault.place}: ${fault.reason}`)
    else if (verdict.kind === 'intact')
      print(`intact: ${verdict.end.seq} lines; keep this elsewhere: ${verdict.end.seq}:${verdict.end.hash}`)
    return fault ? 'found' : 'done'
  })
}

function parseKnown(text: string): { readonly seq: number; readonly hash: string } {
  const [, seq = '', hash = ''] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? []
  if (hash !== '') return { seq: Number(seq), hash }
  throw new UsageError('--known: expected SEQ:HASH, as slipway audit verify prints it')
}

type Fields = Readonly<Record<string, string>>

/** The texts of a line; undefined for what is no line of an audit. */
function fieldsOf(text: string): Fields | undefined {
  try {
    const { detail, ...fields } = JSON.parse(text) ?? {}
    return Object.fromEntries(
      Object.entries({ ...fields, ...detail }).map(([name, value]) => [name, String(value)]),
    )
  } catch {
    return undefined
  }
}

const main = ['at', 'actor', 'via', 'ip', 'action', 'target', 'result']
const chain = ['seq', 'previous']

function sentence(fields: Fields): string {
  const known = main.map(name => fields[name] ?? '-')
  const rest = Object.entries(fields)
    .filter(([name]) => !main.includes(name) && !chain.includes(name))
    .map(([name, value]) => `${name}: ${value}`)
  // What others chose to be called must not move the cursor.
  return [...known, ...rest].join('  ').replaceAll(/\p{Cc}/gu, '?')
}
