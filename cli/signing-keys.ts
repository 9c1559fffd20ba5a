import { ChangeRefused } from '../auth/errors.ts'
import { activeOf, aged, type KeyRing, revoked, turned } from '../auth/keys.ts'
import type { SettingFlags } from '../server/config-sources.ts'
import type { Outcome } from './command.ts'
import { untilDone } from './registries.ts'
import { inRegistry, remark } from './registry-folder.ts'
import { instant, moment, table } from './table.ts'

type Print = (text: string) => void

export async function listKeys(
  flags: SettingFlags & { readonly json?: boolean | undefined },
  print: Print,
): Promise<Outcome> {
  return inRegistry(flags, 'existing', async ({ directory }) => {
    const { keys } = await directory.keys(untilDone)
    if (flags.json)
      print(
        JSON.stringify({
          keys: keys.map(({ kid, state, sinceMs }) => ({ kid, state, since: instant(sinceMs) })),
        }),
      )
    else
      print(
        table(
          ['KID', 'STATE', 'SINCE'],
          keys.map(({ kid, state, sinceMs }) => [kid, state, moment(sinceMs)]),
        ),
      )
    return 'done'
  })
}

/** Prints the kid of the key that signs now, alone, on standard output. */
export async function rotateKeys(flags: SettingFlags, print: Print): Promise<Outcome> {
  const nowMs = Date.now()
  return inRegistry(flags, 'existing', async ({ directory, administration }) => {
    const { kid: before } = activeOf(await directory.keys(untilDone))
    const story = { action: 'key.rotate', detail: { before } } as const
    const turn = (ring: KeyRing) => aged(turned(ring, nowMs), nowMs)
    const { kid } = activeOf(await administration.changeKeys(turn, story, untilDone))
    print(kid)
    remark(`key ${before} signs no more; what it has signed stays good until it ends`)
    return 'done'
  })
}

export async function revokeKey(kid: string, flags: SettingFlags): Promise<Outcome> {
  const nowMs = Date.now()
  return inRegistry(flags, 'existing', async ({ administration }) => {
    const revoke = (ring: KeyRing) => {
      if (ring.keys.some(key => key.kid === kid)) return revoked(ring, kid, nowMs)
      throw new ChangeRefused(`no key is called ${kid.slice(0, 80)}: see slipway keys list`)
    }
    await administration.changeKeys(revoke, { action: 'key.revoke', target: `key:${kid}` }, untilDone)
    remark(`key ${kid} is revoked`)
    return 'done'
  })
}
