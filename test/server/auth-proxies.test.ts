/** Clients behind a proxy are told apart, and nobody who is no proxy can pass for another (trusted_proxies). */
import { once } from 'node:events'
import { request } from 'node:http'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { journal } from '../../storage/journal.ts'
import { basic, password, storedRules, storedUser } from '../helpers/access.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { type Guarded, guarded } from '../helpers/guarded.ts'
import { io } from '../helpers/waiting.ts'

const people = { users: [storedUser('bob')], rules: storedRules('pull ** anyone') }
const behind = (...trustedProxies: readonly string[]) => ({ settings: { trustedProxies } })
const one = '192.0.2.1'
const other = '198.51.100.7'

/** What a proxy passes on. */
function statusFor(registry: Guarded, forwardedFor: string, shown: string, path = '/v2/') {
  const headers = { 'X-Forwarded-For': forwardedFor }
  return registry.send(path, { headers, authorization: basic('bob', shown) }).then(({ status }) => status)
}

/** More wrong passwords than anybody is allowed. */
async function guessFrom(registry: Guarded, forwardedFor: (at: number) => string) {
  const guesses = Array.from({ length: 11 }, (_, at) => statusFor(registry, forwardedFor(at), `guess ${at}`))
  return new Set(await Promise.all(guesses))
}

describe('behind a proxy that is trusted', () => {
  it('one client who guesses passwords keeps out no other', async () => {
    await using registry = await guarded(people, behind('127.0.0.0/8'))
    expect(await guessFrom(registry, at => `203.0.113.${at}, ${one}`)).toContain(429)
    expect(await statusFor(registry, one, 'another')).toBe(429)
    expect(await statusFor(registry, other, 'another')).toBe(401)
    expect(await statusFor(registry, other, password)).toBe(200)
  })

  it('each client without a name has its own share of requests', async () => {
    const rates = { manifests: { perMinute: 60, burst: 5 } }
    await using registry = await guarded(people, { ...behind('127.0.0.1'), rates: () => rates })
    const authorization = await registry.token(undefined, 'repository:app:pull')
    const ask = (client: string) =>
      registry
        .send('/v2/app/tags/list', { authorization, headers: { 'X-Forwarded-For': client } })
        .then(({ status }) => status)
    expect(await Promise.all(Array.from({ length: 10 }, () => ask(one)))).toContain(429)
    expect(await ask(other)).toBe(404)
    expect(await ask(`${one}, ${other}`)).toBe(404)
  })

  it('the audit and the log name the client', async () => {
    const registry = await guarded(people, behind('127.0.0.1', '10.0.0.0/8'))
    await statusFor(registry, `${one}:4711, 10.1.1.1`, password)
    await statusFor(registry, `${other}, ${one}`, 'wrong')
    await registry[Symbol.asyncDispose]()
    expect(await auditedAddresses(registry)).toEqual([one, one])
    expect(loggedAddresses(registry)).toEqual([one, one])
  })

  it('a client stands in the last of several headers', async () => {
    await using registry = await guarded(people, behind('127.0.0.1'))
    const asked = request(`${registry.address}/v2/`)
    asked.setHeader('X-Forwarded-For', [other, one])
    asked.end()
    await once(asked, 'response').then(([response]) => response.resume())
    await expect.poll(() => loggedAddresses(registry)).toEqual([one])
  })

  it('as many connections as the proxy wants are taken', async () => {
    const limits = { connectionsPerAddress: 2 }
    const status = async (registry: Guarded) => {
      const asked = Array.from({ length: 10 }, () =>
        statusFor(registry, one, password).catch(() => 'refused'),
      )
      return new Set(await Promise.all(asked))
    }
    await using trusting = await guarded(people, { ...behind('127.0.0.1'), limits })
    await using usual = await guarded(people, { limits })
    expect(await status(trusting)).toEqual(new Set([200]))
    expect(await status(usual)).toContain('refused')
  })
})

describe('who is not trusted', () => {
  it.for([
    ['nobody is', []],
    ['others are', ['10.0.0.0/8', '127.0.0.2', 'unix']],
  ] as const)('passes for nobody else where %s', async ([, trusted]) => {
    const registry = await guarded(people, behind(...trusted))
    expect(await guessFrom(registry, at => `192.0.2.${at}`)).toContain(429)
    expect(await statusFor(registry, other, 'another')).toBe(429)
    await registry[Symbol.asyncDispose]()
    expect(new Set(await auditedAddresses(registry))).toEqual(new Set(['127.0.0.1']))
    expect(new Set(loggedAddresses(registry))).toEqual(new Set(['127.0.0.1']))
  })
})

it.for([
  ['is believed where it is trusted', ['unix'], [one]],
  ['is not where it is not', ['0.0.0.0/1', '127.0.0.1'], [undefined]],
] as const)('who comes by a unix socket %s', async ([, trusted, expected]) => {
  const socketPath = join(await temporaryFolder(), 's')
  await using registry = await guarded(people, { ...behind(...trusted), listen: `unix:${socketPath}` })
  const asked = request({ socketPath, path: '/v2/', headers: { 'X-Forwarded-For': one } })
  asked.end()
  await once(asked, 'response').then(([response]) => response.resume())
  await expect.poll(() => loggedAddresses(registry)).toEqual(expected)
})

const loggedAddresses = ({ observations }: Guarded) =>
  observations.flatMap(each => (each.event === 'request' ? [each.from] : []))

async function auditedAddresses({ store }: Guarded): Promise<unknown[]> {
  const addresses: unknown[] = []
  for await (const { text } of journal(store).lines(io)) addresses.push(JSON.parse(text).ip)
  return addresses
}
