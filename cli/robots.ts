import { type PrincipalName, wordOf } from '../auth/access.ts'
import { addRobot, removeRobot, standingOfToken } from '../auth/machines.ts'
import type { SettingFlags } from '../server/config-sources.ts'
import type { Outcome } from './command.ts'
import { untilDone } from './registries.ts'
import { inRegistry, remark } from './registry-folder.ts'
import { legacies } from './rule-sources.ts'
import { instant, moment, table } from './table.ts'
import { nameOf } from './words.ts'

type Print = (text: string) => void

export async function addMachine(word: string, flags: SettingFlags): Promise<Outcome> {
  const name = nameOf(word)
  const createdMs = Date.now()
  return inRegistry(flags, 'any', async ({ administration }) => {
    const story = { action: 'robot.add', target: target(name) } as const
    await administration.change(state => addRobot(state, name, createdMs), story, untilDone)
    remark(`robot ${name} was added; next: slipway token create --robot ${name}`)
    return 'done'
  })
}

export async function listMachines(
  flags: SettingFlags & { readonly json?: boolean | undefined },
  print: Print,
): Promise<Outcome> {
  return inRegistry(flags, 'existing', async ({ directory }) => {
    const { state } = await directory.view(untilDone)
    const nowMs = Date.now()
    const robots = state.robots
      .map(({ name, createdMs }) => {
        const own = state.tokens.filter(({ owner }) => owner === target(name))
        const tokens = own.filter(token => standingOfToken(token, state, nowMs) === 'good').length
        return { name, createdMs, tokens }
      })
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    if (flags.json)
      print(
        JSON.stringify({
          robots: robots.map(({ name, createdMs, tokens }) => ({
            name,
            createdAt: instant(createdMs),
            tokens,
          })),
        }),
      )
    else
      print(
        table(
          ['NAME', 'CREATED', 'TOKENS'],
          robots.map(({ name, createdMs, tokens }) => [name, moment(createdMs), String(tokens)]),
        ),
      )
    return 'done'
  })
}

export async function removeMachine(word: string, flags: SettingFlags): Promise<Outcome> {
  const name = nameOf(word)
  return inRegistry(flags, 'existing', async folder => {
    const story = { action: 'robot.remove', target: target(name) } as const
    const state = await folder.administration.change(state => removeRobot(state, name), story, untilDone)
    remark(`robot ${name} was removed, with all tokens`)
    for (const legacy of legacies('robot', name, state, folder))
      remark(`warning: a later robot ${name} would ${legacy}`)
    return 'done'
  })
}

const target = (name: PrincipalName) => wordOf({ kind: 'robot', name })
