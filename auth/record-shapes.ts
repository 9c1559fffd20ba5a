/**
 * What the record of access may hold: exactly the fields of state.ts. A field that nobody here knows may narrow what
 * somebody may do, so a record that has one is not taken, and none is written.
 */
import { parseIdentity, parsePrincipalName } from './access.ts'
import type {
  AccessState,
  StoredProtection,
  StoredRobot,
  StoredRule,
  StoredToken,
  StoredUser,
} from './state.ts'

/** Where a value is not as it must be, from itself on: `.0.name`. Undefined where all is well. */
type Shape = (value: unknown) => string | undefined

/** Throws an Error that names the place, and nothing of what stands there. */
export function demandAccessState(value: unknown): asserts value is AccessState {
  const place = state(value)
  if (place !== undefined)
    throw new Error(
      `the record of access has at ${place.slice(1) || 'its top'} what this version does not know`,
    )
}

const is =
  (holds: (value: unknown) => boolean): Shape =>
  value =>
    holds(value) ? undefined : ''

const text = is(value => typeof value === 'string')
const moment = is(Number.isFinite)
const truth = is(value => typeof value === 'boolean')
const name = is(value => typeof value === 'string' && parsePrincipalName(value) === value)
const owner = is(value => {
  const kind = typeof value === 'string' && value.includes(':') ? parseIdentity(value)?.kind : undefined
  return kind === 'user' || kind === 'robot'
})
const optional =
  (shape: Shape): Shape =>
  value =>
    value === undefined ? undefined : shape(value)

const listOf =
  (shape: Shape): Shape =>
  value => {
    if (!Array.isArray(value)) return ''
    for (const [index, each] of value.entries()) {
      const place = shape(each)
      if (place !== undefined) return `.${index}${place}`
    }
    return undefined
  }

/** Every field of the type, so that one that is added is added here. */
const fields =
  <Stored>(shapes: Readonly<Record<keyof Required<Stored>, Shape>>): Shape =>
  value => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return ''
    const known = new Map<string, Shape>(Object.entries<Shape>(shapes))
    const has = new Map<string, unknown>(Object.entries(value))
    for (const key of has.keys()) if (!known.has(key)) return `.${key}`
    for (const [key, shape] of known) {
      const place = shape(has.get(key))
      if (place !== undefined) return `.${key}${place}`
    }
    return undefined
  }

const state = fields<AccessState>({
  users: listOf(
    fields<StoredUser>({
      name,
      password: optional(text),
      serial: moment,
      groups: listOf(name),
      disabled: truth,
      createdMs: moment,
    }),
  ),
  robots: listOf(fields<StoredRobot>({ name, createdMs: moment })),
  tokens: listOf(
    fields<StoredToken>({
      id: text,
      owner,
      line: optional(text),
      sha256: text,
      ceiling: optional(listOf(text)),
      createdMs: moment,
      expiresMs: optional(moment),
      revokedMs: optional(moment),
    }),
  ),
  rules: listOf(
    fields<StoredRule>({
      id: text,
      rule: text,
      until: optional(text),
      note: optional(text),
      createdMs: moment,
    }),
  ),
  protections: listOf(fields<StoredProtection>({ id: text, protection: text, createdMs: moment })),
})
