/**
 * What is written down of who did what: one line of JSON for each event, each naming the hash of the line before it. So
 * nobody can change, remove or insert a line without writing all later ones again, and who has kept the hash of a later
 * line can tell (auth-security 2.6).
 */
import { createHash } from 'node:crypto'
import { withoutSecrets } from './redact.ts'

export type AuditAction =
  | 'login'
  | 'user.add'
  | 'user.change'
  | 'user.remove'
  | 'robot.add'
  | 'robot.remove'
  | 'token.create'
  | 'token.revoke'
  | 'rule.add'
  | 'rule.remove'
  | 'protection.add'
  | 'protection.remove'
  | 'config.reload'
  | 'key.rotate'
  | 'key.revoke'
  | 'push'
  | 'tag.move'
  | 'delete'
  | 'mount'
  /** Events that could not be written down, in `detail.reason`. */
  | 'audit.gap'

export interface AuditEvent {
  /** ISO 8601, in UTC. */
  readonly at: string
  /** As `wordOf` spells it; `cli:NAME` for a user of the system that the registry runs on; or `system`. */
  readonly actor: string
  /** By what the actor was known: `password`, `token:ID`, `workload`, `cli`, `system`. */
  readonly via: string
  readonly ip?: string | undefined
  readonly action: AuditAction
  /** A repository with its tag or digest, or a principal, a rule, a key. */
  readonly target?: string | undefined
  readonly result: 'done' | 'refused' | 'failed'
  readonly detail?: AuditDetail | undefined
}

/** All that there is to say beside that. There is no field that a secret belongs in. */
export interface AuditDetail {
  /** Of a refusal: its class, never what was sent. */
  readonly reason?: string | undefined
  /** What was there, and what is there after it: a digest, a line. */
  readonly before?: string | undefined
  readonly after?: string | undefined
  readonly until?: string | undefined
  /** The protection that refused. */
  readonly protection?: string | undefined
}

/** Where a chain has got to: what the next line follows. */
export interface ChainEnd {
  /** Of the last line; lines count from 1. */
  readonly seq: number
  /** SHA-256 of the last line without its line feed, in hex. */
  readonly hash: string
}

/** The end of a chain that has no line yet. */
export const chainStart: ChainEnd = { seq: 0, hash: '0'.repeat(64) }

/** Where a chain has got to whose last line this is. */
export function chainEndAt(line: string | undefined): ChainEnd {
  if (line === undefined) return chainStart
  const found = parseLine(line)
  if (!found)
    throw new Error('its last line cannot be read, so nothing can follow it: see slipway audit verify')
  return { seq: found.seq, hash: hashOf(line) }
}

/** The line for an event, without a line feed, and the end of the chain when it is written. */
export function nextLine(
  end: ChainEnd,
  event: AuditEvent,
): { readonly line: string; readonly end: ChainEnd } {
  const seq = end.seq + 1
  const line = JSON.stringify({ seq, previous: end.hash, ...pick(eventFields, event), ...detailOf(event) })
  return { line, end: { seq, hash: hashOf(line) } }
}

export type Verdict =
  | { readonly kind: 'intact'; readonly end: ChainEnd }
  /** `line` counts from 1 within what was read. */
  | { readonly kind: 'broken'; readonly line: number; readonly reason: string }

/**
 * Walks lines that follow `start`. What is missing behind the last line shows only to who knows how the chain ended:
 * compare `end`.
 */
export async function verifyChain(
  lines: Iterable<string> | AsyncIterable<string>,
  start: ChainEnd = chainStart,
): Promise<Verdict> {
  let end = start
  let at = 0
  for await (const line of lines) {
    at++
    const reason = faultOf(line, end)
    if (reason !== undefined) return { kind: 'broken', line: at, reason }
    end = { seq: end.seq + 1, hash: hashOf(line) }
  }
  return { kind: 'intact', end }
}

const eventFields = [
  'at',
  'actor',
  'via',
  'ip',
  'action',
  'target',
  'result',
] as const satisfies readonly Exclude<keyof AuditEvent, 'detail'>[]
const detailFields = [
  'reason',
  'before',
  'after',
  'until',
  'protection',
] as const satisfies readonly (keyof AuditDetail)[]

/** Somebody else's texts go in here, and a line must stay one that can be read. */
const maxLength = 512
/** Looked at for secrets; what is behind it is not written in any case. */
const maxRead = 8 * 1024

const hashOf = (line: string) => createHash('sha256').update(line).digest('hex')

/** The fields that are known, in their order, however many more an object has at run time. */
function pick<Field extends string>(
  fields: readonly Field[],
  from: Readonly<Partial<Record<Field, string | undefined>>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    fields.flatMap(field => {
      const value = from[field]
      return value === undefined ? [] : [[field, clean(value)]]
    }),
  )
}

function detailOf({ detail = {} }: AuditEvent) {
  const known = pick(detailFields, detail)
  return Object.keys(known).length > 0 ? { detail: known } : {}
}

function clean(text: string): string {
  const redacted = withoutSecrets(text.slice(0, maxRead))
  return redacted.length > maxLength ? `${redacted.slice(0, maxLength)}…` : redacted
}

function faultOf(line: string, { seq, hash }: ChainEnd): string | undefined {
  const found = parseLine(line)
  if (!found) return 'it is no line of an audit'
  if (found.previous !== hash) return 'it does not follow the line before it'
  if (found.seq !== seq + 1) return `its number is ${found.seq} where ${seq + 1} was expected`
  return undefined
}

function parseLine(line: string): { readonly seq: number; readonly previous: string } | undefined {
  try {
    const { seq, previous } = JSON.parse(line)
    return typeof seq === 'number' && typeof previous === 'string' ? { seq, previous } : undefined
  } catch {
    return undefined
  }
}
