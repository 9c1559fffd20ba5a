import { wordOf } from '../auth/access.ts'
import { parseCeilingLine } from '../auth/ceilings.ts'
import { createToken, revokeToken, standingOfToken, type TokenOwner } from '../auth/machines.ts'
import { makeSecret } from '../auth/secrets.ts'
import type { SettingFlags } from '../server/config-sources.ts'
import { formatDuration, parseDuration } from '../server/units.ts'
import type { Outcome } from './command.ts'
import { untilDone } from './registries.ts'
import { grammatical, inRegistry, remark } from './registry-folder.ts'
import { instant, moment, table } from './table.ts'
import { UsageError } from './usage.ts'
import { nameOf } from './words.ts'

type Print = (text: string) => void

interface TokenFlags extends SettingFlags {
  readonly user?: string | undefined
  readonly robot?: string | undefined
  readonly for?: string | undefined
  readonly pull?: readonly string[] | undefined
  readonly push?: readonly string[] | undefined
  readonly delete?: readonly string[] | undefined
}

/** Prints the secret, alone, on standard output. */
export async function makeToken(flags: TokenFlags, print: Print): Promise<Outcome> {
  const owner = ownerOf(flags)
  const ceiling = ceilingOf(flags)
  const asked = lifetimeOf(flags)
  const createdMs = Date.now()
  const { id, sha256, text } = makeSecret(owner.kind === 'robot' ? 'robot' : 'personal')
  return inRegistry(flags, 'existing', async ({ administration, settings, tokens }) => {
    const lifetimeMs = asked ?? tokens.defaultTtlMs
    const token = { id, sha256, owner, ceiling, createdMs, lifetimeMs }
    const longest = { ms: tokens.maxTtlMs, text: formatDuration(tokens.maxTtlMs) }
    const until = lifetimeMs === 'never' ? undefined : createdMs + lifetimeMs
    const story = {
      action: 'token.create',
      target: `token:${id}`,
      detail: {
        after: [wordOf(owner), ...ceiling].join('; '),
        ...(until !== undefined && { until: new Date(until).toISOString() }),
      },
    } as const
    await administration.change(
      state => createToken(state, token, settings.htpasswd, longest),
      story,
      untilDone,
    )
    print(text)
    remark(
      `token ${id} of ${wordOf(owner)}${until === undefined ? '' : `, until ${moment(until)}`}; it is shown once`,
    )
    remark(`log in with it as the password, and ${owner.name} as the name`)
    if (until === undefined)
      remark('warning: this token never ends: whoever finds it can use it until it is revoked')
    return 'done'
  })
}

export async function listTokens(
  flags: SettingFlags & { readonly json?: boolean | undefined },
  print: Print,
): Promise<Outcome> {
  return inRegistry(flags, 'existing', async ({ directory, settings }) => {
    const { state } = await directory.view(untilDone)
    const nowMs = Date.now()
    const tokens = state.tokens.map(token => ({
      ...token,
      state: standingOfToken(token, state, nowMs, settings.htpasswd),
    }))
    if (flags.json)
      print(
        JSON.stringify({
          tokens: tokens.map(({ id, owner, ceiling, createdMs, expiresMs, revokedMs, state }) => ({
            id,
            owner,
            ceiling: ceiling ?? null,
            state,
            createdAt: instant(createdMs),
            expiresAt: instant(expiresMs),
            revokedAt: instant(revokedMs),
          })),
        }),
      )
    else
      print(
        table(
          ['ID', 'OWNER', 'AT MOST', 'CREATED', 'UNTIL', 'STATE'],
          tokens.map(({ id, owner, ceiling = [], createdMs, expiresMs, state }) => [
            id,
            owner,
            ceiling.join(', '),
            moment(createdMs),
            moment(expiresMs),
            state,
          ]),
        ),
      )
    return 'done'
  })
}

export async function endToken(id: string, flags: SettingFlags): Promise<Outcome> {
  const nowMs = Date.now()
  return inRegistry(flags, 'existing', async ({ administration }) => {
    const story = { action: 'token.revoke', target: `token:${id}` } as const
    await administration.change(state => revokeToken(state, id, nowMs), story, untilDone)
    remark(`token ${id} is revoked`)
    return 'done'
  })
}

function ownerOf({ user, robot }: TokenFlags): TokenOwner {
  if (user !== undefined && robot === undefined) return { kind: 'user', name: nameOf(user) }
  if (robot !== undefined && user === undefined) return { kind: 'robot', name: nameOf(robot) }
  throw new UsageError('whose token? expected --user NAME or --robot NAME, one of them')
}

function ceilingOf({ pull = [], push = [], delete: remove = [] }: TokenFlags): readonly string[] {
  const lines = [
    ...pull.map(glob => `pull ${glob}`),
    ...push.map(glob => `push ${glob}`),
    ...remove.map(glob => `delete ${glob}`),
  ]
  return grammatical(() => lines.map(line => parseCeilingLine(line).text))
}

/** Undefined where nothing is said. */
function lifetimeOf({ for: time }: TokenFlags): number | 'never' | undefined {
  if (time === undefined || time === 'never') return time
  const ms = parseDuration(time)
  if (ms !== undefined) return ms
  throw new UsageError(`--for: expected a time such as 90d, or never, found ${time}`)
}
