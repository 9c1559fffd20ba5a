import { describe, expect, it } from 'vitest'
import {
  addUser,
  changePassword,
  disableUser,
  enableUser,
  type NewUser,
  removeUser,
} from '../../auth/people.ts'
import { type AccessState, emptyState, type StoredToken } from '../../auth/state.ts'
import { name } from '../helpers/principals.ts'

const [alice, bob] = [name('alice'), name('bob')]
const person = (who: typeof alice, more: Partial<NewUser> = {}): NewUser => ({
  name: who,
  password: 'hash',
  serial: 1,
  isAdministrator: false,
  createdMs: 1,
  ...more,
})
const token = (id: string, owner: string): StoredToken => ({ id, owner, sha256: 'x', createdMs: 1 })
const two = addUser(addUser(emptyState, person(alice, { isAdministrator: true })), person(bob))

it('adds users and administrators', () => {
  expect(two.users).toEqual([
    { name: 'alice', password: 'hash', serial: 1, groups: ['administrators'], disabled: false, createdMs: 1 },
    { name: 'bob', password: 'hash', serial: 1, groups: [], disabled: false, createdMs: 1 },
  ])
})

it('refuses a second user of a name', () => {
  expect(() => addUser(two, person(bob))).toThrow('a user is called bob already: see slipway user list')
})

it.for<[string, (state: AccessState) => AccessState]>([
  ['removed', state => removeUser(state, name('eve'))],
  ['disabled', state => disableUser(state, name('eve'))],
  ['enabled', state => enableUser(state, name('eve'))],
  ['given a password', state => changePassword(state, name('eve'), { password: 'h', serial: 2 })],
])('says that who is not there cannot be %s', ([, act]) => {
  expect(() => act(two)).toThrow('no user is called eve: see slipway user list')
})

it('disables and enables, once', () => {
  const disabled = disableUser(two, bob)
  expect(disabled.users[1]).toMatchObject({ name: 'bob', disabled: true })
  expect(disableUser(disabled, bob)).toBe(disabled)
  expect(enableUser(disabled, bob)).toEqual(two)
  expect(enableUser(two, bob)).toBe(two)
})

it('changes a password with its serial', () => {
  const state = changePassword(two, bob, { password: 'other', serial: 7 })
  expect(state.users[1]).toMatchObject({ name: 'bob', password: 'other', serial: 7 })
  expect(state.users[0]).toBe(two.users[0])
})

describe('the last administrator', () => {
  const refusal = 'alice is the last administrator: make another one first, by slipway user add NAME --admin'

  it('is neither removed nor disabled', () => {
    expect(() => removeUser(two, alice)).toThrow(refusal)
    expect(() => disableUser(two, alice)).toThrow(refusal)
  })

  it('is still the last one where the other is disabled', () => {
    const carol = name('carol')
    const three = addUser(two, person(carol, { isAdministrator: true }))
    expect(removeUser(three, alice).users.map(user => user.name)).toEqual(['bob', 'carol'])
    const other = disableUser(three, carol)
    expect(() => removeUser(other, alice)).toThrow(refusal)
    expect(removeUser(other, carol).users.map(user => user.name)).toEqual(['alice', 'bob'])
  })
})

describe('the tokens of a user', () => {
  const tokens = [token('a', 'user:bob'), token('b', 'user:alice'), token('c', 'robot:bob')]

  it('end with the user', () => {
    expect(removeUser({ ...two, tokens }, bob).tokens.map(({ id }) => id)).toEqual(['b', 'c'])
  })

  it('are not those of a later user of the same name', () => {
    // As of a password file, whose users are not stored.
    expect(addUser({ ...emptyState, tokens }, person(bob)).tokens.map(({ id }) => id)).toEqual(['b', 'c'])
  })
})
