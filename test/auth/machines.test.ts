import { describe, expect, it } from 'vitest'
import type { PrincipalName } from '../../auth/access.ts'
import {
  addRobot,
  createToken,
  type NewToken,
  removeRobot,
  revokeToken,
  standingOfToken,
} from '../../auth/machines.ts'
import { addUser, disableUser } from '../../auth/people.ts'
import { type AccessState, emptyState } from '../../auth/state.ts'
import { name } from '../helpers/principals.ts'

const dayMs = 86_400_000
const nowMs = 1_000 * dayMs
const [ci, bob] = [name('ci'), name('bob')]
const none = new Map()
const year = { ms: 365 * dayMs, text: '365d' }
const withToken = (state: AccessState, token: NewToken, others: ReadonlyMap<PrincipalName, string>) =>
  createToken(state, token, others, year)
const withRobot = addRobot(emptyState, ci, nowMs)
const person = (who: typeof bob) => ({
  name: who,
  password: 'h',
  serial: 1,
  isAdministrator: false,
  createdMs: 1,
})
const withBoth = addUser(withRobot, person(bob))
const token = (more: Partial<NewToken> = {}): NewToken => ({
  id: 'aaaaaaaaaa',
  sha256: 'ab',
  owner: { kind: 'robot', name: ci },
  ceiling: [],
  createdMs: nowMs,
  lifetimeMs: dayMs,
  ...more,
})
const ofBob = { owner: { kind: 'user' as const, name: bob } }

it('adds a robot, once', () => {
  expect(withRobot.robots).toEqual([{ name: 'ci', createdMs: nowMs }])
  expect(() => addRobot(withRobot, ci, nowMs)).toThrow('a robot is called ci already')
})

it('removes a robot with its tokens, and leaves those of a user of the same name', () => {
  const both = addUser(withBoth, person(ci))
  const first = withToken(both, token(), none)
  const second = withToken(first, token({ id: 'bbbbbbbbbb', owner: { kind: 'user', name: ci } }), none)
  const state = removeRobot(second, ci)
  expect(state.robots).toEqual([])
  expect(state.tokens.map(({ id }) => id)).toEqual(['bbbbbbbbbb'])
  expect(() => removeRobot(state, ci)).toThrow(
    'no robot is called ci: make it first, by slipway robot add ci',
  )
})

it('keeps of a token what is needed to know it again', () => {
  const state = withToken(withRobot, token({ ceiling: ['pull  a/**', 'push a/b'] }), none)
  expect(state.tokens).toEqual([
    {
      id: 'aaaaaaaaaa',
      owner: 'robot:ci',
      sha256: 'ab',
      ceiling: ['pull a/**', 'push a/b'],
      createdMs: nowMs,
      expiresMs: nowMs + dayMs,
    },
  ])
})

describe('a token is refused', () => {
  it.for<[why: string, token: NewToken, message: string]>([
    [
      'without its robot',
      token({ owner: { kind: 'robot', name: bob } }),
      'no robot is called bob: make it first',
    ],
    [
      'without its user',
      token({ owner: { kind: 'user', name: ci } }),
      'no user is called ci: make one first',
    ],
    ['that a person has for ever', token({ ...ofBob, lifetimeMs: 'never' }), "a person's token has an end"],
    ['of more than 365 days', token({ lifetimeMs: 365 * dayMs + 1 }), 'a token lives from 1s to 365d'],
    ['of no time', token({ lifetimeMs: 0 }), 'a token lives from 1s to 365d'],
    ['with a ceiling that means nothing', token({ ceiling: ['pull A'] }), 'unexpected "A" in a pattern'],
  ])('%s', ([, refused, message]) => {
    expect(() => withToken(withBoth, refused, none)).toThrow(message)
  })

  it('whose owner is disabled', () => {
    // Bob is no administrator, so there is no last one.
    expect(() => withToken(disableUser(withBoth, bob), token(ofBob), none)).toThrow(
      'bob is disabled: enable first, by slipway user enable bob',
    )
  })
})

it('makes tokens that never end for robots, and tokens for users who are not stored', () => {
  expect(withToken(withRobot, token({ lifetimeMs: 'never' }), none).tokens[0]?.expiresMs).toBeUndefined()
  const kept = new Map([[bob, '$2y$…']])
  expect(withToken(emptyState, token(ofBob), kept).tokens[0]?.owner).toBe('user:bob')
})

it('forgets tokens that ended more than 30 days ago', () => {
  const first = withToken(withRobot, token(), none)
  const later = (days: number) => token({ id: 'bbbbbbbbbb', createdMs: nowMs + days * dayMs })
  expect(withToken(first, later(30), none).tokens).toHaveLength(2)
  expect(withToken(first, later(31), none).tokens).toHaveLength(1)
})

it('revokes a token, once', () => {
  const state = withToken(withRobot, token(), none)
  const revoked = revokeToken(state, 'aaaaaaaaaa', nowMs + 1)
  expect(revoked.tokens[0]).toMatchObject({ id: 'aaaaaaaaaa', revokedMs: nowMs + 1 })
  expect(revokeToken(revoked, 'aaaaaaaaaa', nowMs + 2)).toBe(revoked)
  expect(() => revokeToken(state, 'bbbbbbbbbb', nowMs)).toThrow('no token has the id bbbbbbbbbb')
})

it('does not repeat a secret that was given for an id', () => {
  expect(() => revokeToken(withRobot, 'slw_r_aaaaaaaaaa_secret', nowMs)).toThrow(
    /^(?!.*secret).*no token has/,
  )
})

it('says how a token stands', () => {
  const state = withToken(withBoth, token(ofBob), none)
  const [made] = state.tokens
  if (!made) throw new TypeError('there is no token')
  expect(standingOfToken(made, state, nowMs)).toBe('good')
  expect(standingOfToken(made, state, nowMs + dayMs)).toBe('expired')
  expect(standingOfToken(made, disableUser(state, bob), nowMs)).toBe('owner-disabled')
  expect(standingOfToken({ ...made, revokedMs: nowMs }, state, nowMs)).toBe('revoked')
})

it('ties a token of a user of the password file to the line, and none of a stored user', () => {
  const [line, another] = [new Map([[bob, 'a hash']]), new Map([[bob, 'another']])]
  const state = withToken(emptyState, token(ofBob), line)
  const [made] = state.tokens
  if (!made) throw new Error('there is no token')
  expect(JSON.stringify(made)).not.toContain('a hash')
  const standings = [line, another, none].map(others => standingOfToken(made, state, nowMs, others))
  expect(standings).toEqual(['good', 'owner-changed', 'owner-changed'])
  expect(withToken(withBoth, token(ofBob), line).tokens[0]?.line).toBeUndefined()
})
