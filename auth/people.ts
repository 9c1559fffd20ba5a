/** What becomes of the stored people. Each change throws ChangeRefused where it must not be made. */
import { administrators, type PrincipalName, wordOf } from './access.ts'
import { ChangeRefused } from './errors.ts'
import type { AccessState, StoredUser } from './state.ts'

export interface NewUser {
  readonly name: PrincipalName
  /** In PHC form. */
  readonly password: string
  readonly serial: number
  readonly isAdministrator: boolean
  readonly createdMs: number
}

export function addUser(
  state: AccessState,
  { name, password, serial, isAdministrator, createdMs }: NewUser,
): AccessState {
  if (find(state, name)) throw new ChangeRefused(`a user is called ${name} already: see slipway user list`)
  const groups = isAdministrator ? [administrators] : []
  const user: StoredUser = { name, password, serial, groups, disabled: false, createdMs }
  // What was made for somebody else of this name, such as one of a password file, is not for this one.
  return { ...withoutTokensOf(state, name), users: [...state.users, user] }
}

/** Tokens end with their owner: a later user of the same name does not inherit them. */
export function removeUser(state: AccessState, name: PrincipalName): AccessState {
  refuseLastAdministrator(state, demand(state, name))
  return { ...withoutTokensOf(state, name), users: state.users.filter(user => user.name !== name) }
}

export function disableUser(state: AccessState, name: PrincipalName): AccessState {
  const user = demand(state, name)
  if (user.disabled) return state
  refuseLastAdministrator(state, user)
  return replaced(state, { ...user, disabled: true })
}

export function enableUser(state: AccessState, name: PrincipalName): AccessState {
  const user = demand(state, name)
  return user.disabled ? replaced(state, { ...user, disabled: false }) : state
}

/** What the password before it proved ends; tokens of the user stay. */
export function changePassword(
  state: AccessState,
  name: PrincipalName,
  { password, serial }: Pick<NewUser, 'password' | 'serial'>,
): AccessState {
  return replaced(state, { ...demand(state, name), password, serial })
}

export const isAdministrator = ({ groups }: StoredUser) => groups.includes(administrators)

const find = (state: AccessState, name: PrincipalName) => state.users.find(user => user.name === name)

function demand(state: AccessState, name: PrincipalName): StoredUser {
  const user = find(state, name)
  if (!user) throw new ChangeRefused(`no user is called ${name}: see slipway user list`)
  return user
}

function refuseLastAdministrator(state: AccessState, user: StoredUser): void {
  const active = state.users.filter(each => isAdministrator(each) && !each.disabled)
  if (active.length === 1 && active[0]?.name === user.name)
    throw new ChangeRefused(
      `${user.name} is the last administrator: make another one first, by slipway user add NAME --admin`,
    )
}

function replaced(state: AccessState, user: StoredUser): AccessState {
  return { ...state, users: state.users.map(each => (each.name === user.name ? user : each)) }
}

function withoutTokensOf(state: AccessState, name: PrincipalName): AccessState {
  const owner = wordOf({ kind: 'user', name })
  return { ...state, tokens: state.tokens.filter(token => token.owner !== owner) }
}
