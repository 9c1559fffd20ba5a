import { type PrincipalName, wordOf } from '../auth/access.ts'
import type { View } from '../auth/directory.ts'
import { passwords } from '../auth/passwords.ts'
import {
  addUser,
  changePassword,
  disableUser,
  enableUser,
  isAdministrator,
  removeUser,
} from '../auth/people.ts'
import { makeSerial } from '../auth/random.ts'
import type { SettingFlags } from '../server/config-sources.ts'
import type { Outcome } from './command.ts'
import { newPassword, type PasswordFlags } from './new-password.ts'
import { untilDone } from './registries.ts'
import { inRegistry, inWholeRegistry, remark } from './registry-folder.ts'
import { legacies } from './rule-sources.ts'
import { instant, moment, table } from './table.ts'
import { nameOf } from './words.ts'

type Print = (text: string) => void

export async function addPerson(
  word: string,
  flags: SettingFlags & PasswordFlags & { readonly admin?: boolean | undefined },
  print: Print,
): Promise<Outcome> {
  const name = nameOf(word)
  const { admin = false } = flags
  const { password, isMade } = await newPassword(name, flags)
  const user = {
    name,
    password: await passwords().hash(password, untilDone),
    serial: makeSerial(),
    isAdministrator: admin,
    createdMs: Date.now(),
  }
  return inRegistry(flags, 'any', async ({ directory, administration }) => {
    const before = await directory.view(untilDone)
    const story = { action: 'user.add', target: target(name) } as const
    const detail = { after: admin ? 'administrator' : 'user' }
    await administration.change(state => addUser(state, user), { ...story, detail }, untilDone)
    remark(
      `${admin ? 'administrator' : 'user'} ${name} was added${isMade ? '; the password is shown once' : ''}`,
    )
    if (isMade) print(password)
    if (before.htpasswd.has(name))
      remark(`warning: the password that login.htpasswd has for ${name} is not taken any more`)
    const view = await directory.view(untilDone)
    if (before.isOpen) remark('the registry was open to everybody; from now on people and machines sign in')
    if (!hasAdministrator(view))
      remark('warning: nobody is an administrator: add one by slipway user add NAME --admin')
    return 'done'
  })
}

export async function listPeople(
  flags: SettingFlags & { readonly json?: boolean | undefined },
  print: Print,
): Promise<Outcome> {
  return inWholeRegistry(flags, async ({ directory }) => {
    const view = await directory.view(untilDone)
    const groupsOf = (name: PrincipalName) => {
      const principal = view.principal({ kind: 'user', name })
      return principal?.kind === 'user' ? principal.groups : undefined
    }
    const stored = view.state.users.map(user => ({
      name: user.name,
      disabled: user.disabled,
      administrator: isAdministrator(user),
      groups: groupsOf(user.name) ?? user.groups,
      createdAt: instant(user.createdMs),
      created: moment(user.createdMs),
      source: 'store',
    }))
    const others = [...view.htpasswd.keys()]
      .filter(name => !view.user(name))
      .map(name => ({
        name,
        disabled: false,
        administrator: false,
        groups: groupsOf(name) ?? [],
        createdAt: null,
        created: undefined,
        source: 'password file',
      }))
    const all = [...stored, ...others].toSorted((a, b) => (a.name < b.name ? -1 : 1))
    if (flags.json) {
      print(JSON.stringify({ users: all.map(({ created, ...user }) => user) }))
      return 'done'
    }
    const rows = all.map(({ name, disabled, groups, created, source }) => [
      name,
      disabled ? 'disabled' : 'active',
      groups.join(', '),
      created,
      source,
    ])
    print(table(['NAME', 'STATE', 'GROUPS', 'CREATED', 'SOURCE'], rows))
    return 'done'
  })
}

export async function disablePerson(word: string, flags: SettingFlags): Promise<Outcome> {
  const name = nameOf(word)
  return inRegistry(flags, 'existing', async ({ directory, administration }) => {
    demandStored(name, await directory.view(untilDone))
    const story = { action: 'user.change', target: target(name), detail: { after: 'disabled' } } as const
    await administration.change(state => disableUser(state, name), story, untilDone)
    remark(`user ${name} is disabled`)
    return 'done'
  })
}

export async function enablePerson(word: string, flags: SettingFlags): Promise<Outcome> {
  const name = nameOf(word)
  return inRegistry(flags, 'existing', async ({ directory, administration }) => {
    demandStored(name, await directory.view(untilDone))
    const story = { action: 'user.change', target: target(name), detail: { after: 'enabled' } } as const
    await administration.change(state => enableUser(state, name), story, untilDone)
    remark(`user ${name} is enabled`)
    return 'done'
  })
}

export async function changePersonsPassword(
  word: string,
  flags: SettingFlags & PasswordFlags,
  print: Print,
): Promise<Outcome> {
  const name = nameOf(word)
  const { password, isMade } = await newPassword(name, flags)
  const kept = { password: await passwords().hash(password, untilDone), serial: makeSerial() }
  return inRegistry(flags, 'existing', async ({ directory, administration }) => {
    demandStored(name, await directory.view(untilDone))
    const story = {
      action: 'user.change',
      target: target(name),
      detail: { after: 'another password' },
    } as const
    const state = await administration.change(state => changePassword(state, name, kept), story, untilDone)
    remark(`user ${name} has another password${isMade ? '; it is shown once' : ''}`)
    if (isMade) print(password)
    if (state.tokens.some(({ owner }) => owner === target(name)))
      remark(`tokens of ${name} stay as they are: see slipway token list`)
    return 'done'
  })
}

export async function removePerson(word: string, flags: SettingFlags): Promise<Outcome> {
  const name = nameOf(word)
  return inRegistry(flags, 'existing', async folder => {
    const { directory, administration, settings } = folder
    demandStored(name, await directory.view(untilDone))
    const story = { action: 'user.remove', target: target(name) } as const
    const state = await administration.change(state => removeUser(state, name), story, untilDone)
    remark(`user ${name} was removed, with all tokens`)
    if (settings.htpasswd.has(name)) remark(`warning: ${name} can log in by login.htpasswd again`)
    for (const legacy of legacies('user', name, state, folder))
      remark(`warning: a later ${name} would ${legacy}`)
    if ((await directory.view(untilDone)).isOpen)
      remark('warning: nobody is left, so the registry is open to everybody who can reach it')
    return 'done'
  })
}

/** What a password file says is changed there. */
function demandStored(name: PrincipalName, view: View): void {
  if (!view.user(name) && view.htpasswd.has(name))
    throw new Error(
      `${name} is a user of the file that login.htpasswd names: change or remove the line there`,
    )
}

const target = (name: PrincipalName) => wordOf({ kind: 'user', name })

const hasAdministrator = ({ state }: View) =>
  state.users.some(user => isAdministrator(user) && !user.disabled)
