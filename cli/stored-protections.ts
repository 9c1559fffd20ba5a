import { parseProtection } from '../auth/protections.ts'
import { makeId } from '../auth/random.ts'
import { addProtection, removeProtection } from '../auth/stored-rules.ts'
import type { SettingFlags } from '../server/config-sources.ts'
import type { Outcome } from './command.ts'
import { untilDone } from './registries.ts'
import { grammatical, inRegistry, remark } from './registry-folder.ts'
import { table } from './table.ts'

type Print = (text: string) => void

export async function listProtections(
  flags: SettingFlags & { readonly json?: boolean | undefined },
  print: Print,
): Promise<Outcome> {
  return inRegistry(flags, 'existing', async ({ directory, settings, settingsSource }) => {
    const { state } = await directory.view(untilDone)
    const protections = [
      ...settings.protections.map(({ text }, index) => ({
        id: undefined,
        protection: text,
        source: settingsSource('protect', index),
      })),
      ...state.protections.map(({ id, protection }) => ({ id, protection, source: 'store' })),
    ]
    if (flags.json)
      print(JSON.stringify({ protections: protections.map(each => ({ ...each, id: each.id ?? null })) }))
    else
      print(
        table(
          ['ID', 'PROTECTION', 'SOURCE'],
          protections.map(({ id, protection, source }) => [id, protection, source]),
        ),
      )
    return 'done'
  })
}

/** Prints the id, alone, on standard output. */
export async function writeProtection(line: string, flags: SettingFlags, print: Print): Promise<Outcome> {
  const { text } = grammatical(() => parseProtection(line))
  const stored = { id: makeId(), protection: text, createdMs: Date.now() }
  return inRegistry(flags, 'any', async ({ administration, canProtect }) => {
    if (!canProtect)
      throw new Error(
        'nothing can be protected here: the bucket cannot compare and set (tier C), see slipway doctor',
      )
    const detail = { after: text }
    const story = { action: 'protection.add', target: `protection:${stored.id}`, detail } as const
    await administration.change(state => addProtection(state, stored), story, untilDone)
    print(stored.id)
    return 'done'
  })
}

export async function eraseProtection(id: string, flags: SettingFlags): Promise<Outcome> {
  return inRegistry(flags, 'existing', async ({ directory, administration }) => {
    const { state } = await directory.view(untilDone)
    const before = state.protections.find(each => each.id === id)?.protection
    const detail = { ...(before !== undefined && { before }) }
    const story = { action: 'protection.remove', target: `protection:${id}`, detail } as const
    await administration.change(state => removeProtection(state, id), story, untilDone)
    remark(`protection ${id} was removed: ${before ?? ''}`)
    return 'done'
  })
}
