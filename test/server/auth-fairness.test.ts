/** One who asks for too much takes nothing from one who does not (auth-security 3.3, rows 44 and 20). */
import { expect, it, onTestFinished, vi } from 'vitest'
import { noAccessSettings } from '../../server/access-control.ts'
import { apiToken, basic, password, someWorkloads, storedRules, storedUser } from '../helpers/access.ts'
import { type Guarded, guarded } from '../helpers/guarded.ts'
import { digest } from '../helpers/images.ts'
import { pushBlob, repo } from '../helpers/local-registry.ts'
import { name } from '../helpers/principals.ts'

const robot = apiToken('robot:ci')
const people = {
  users: [storedUser('greedy'), storedUser('modest')],
  robots: [{ name: name('ci'), createdMs: 1 }],
  tokens: [robot.stored],
  rules: storedRules('push ** anyone greedy modest robot:ci'),
}
const rates = {
  manifests: { perMinute: 60, burst: 40 },
  blobs: { perMinute: 60, burst: 40 },
  tokens: { perMinute: 600, burst: 400 },
}

/** What each is answered when one asks ten times as often as the other, both at once. */
async function beside(registry: Guarded, path: () => string, greedy: string, modest: string) {
  const ask = (authorization: string) => registry.send(path(), { authorization }).then(({ status }) => status)
  const greedily = Array.from({ length: 300 }, () => ask(greedy))
  const modestly: number[] = []
  for (let count = 0; count < 30; count++) modestly.push(await ask(modest))
  return { greedily: await Promise.all(greedily), modestly }
}

it.for([
  ['another user', basic('greedy', password), basic('modest', password)],
  ['a robot', basic('ci', robot.text), basic('modest', password)],
  ['nobody, from the same address', undefined, basic('modest', password)],
] as const)('refuses %s that asks too often, and nobody beside', async ([, greedy, modest]) => {
  await using registry = await guarded(people, { rates: () => rates })
  await pushBlob(registry.registry, Buffer.from('x'), repo('app'))
  const anybody = greedy ?? (await registry.token(undefined, 'repository:app:pull'))
  let asked = 0
  const blob = () => `/v2/app/blobs/${digest(Buffer.from(String(asked++)))}`
  for (const [path, served] of [
    [() => '/v2/app/tags/list', 200],
    [blob, 404],
  ] as const) {
    const { greedily, modestly } = await beside(registry, path, anybody, modest)
    expect(new Set(modestly)).toEqual(new Set([served]))
    expect(greedily.filter(status => status === 429).length).toBeGreaterThan(200)
    expect(greedily.filter(status => status === served).length).toBeGreaterThanOrEqual(40)
  }
})

it('serves who needs no password looked at, while all who do are told to wait', async () => {
  await using registry = await guarded(people)
  const authorization = await registry.token('modest', 'repository:app:push')
  const guesses = Promise.all(
    Array.from({ length: 90 }, (_, at) => registry.send('/v2/', { authorization: basic(`name${at}`, 'x') })),
  )
  const others = [authorization, basic('ci', robot.text), basic('modest', password)]
  for (const shown of others)
    for (let count = 0; count < 5; count++)
      expect((await registry.send('/v2/', { authorization: shown })).status).toBe(200)
  expect((await guesses).some(({ status }) => status === 503)).toBe(true)
})

it('looks once at a wrong password that comes many times at once, and keeps from nobody else what that takes', async () => {
  await using registry = await guarded(people)
  const repeated = Promise.all(
    Array.from({ length: 200 }, () => registry.send('/v2/', { authorization: basic('nobody', 'x') })),
  )
  expect((await registry.as('modest', '/v2/')).status).toBe(200)
  expect(new Set((await repeated).map(({ status }) => status))).toEqual(new Set([401]))
})

it('keeps out no machine for what others guess by its name', async () => {
  const settings = () => ({ ...noAccessSettings, workloads: new Map([[name('gha'), 'x']]) })
  await using registry = await guarded(people, { workloads: () => someWorkloads, access: settings })
  const statusOf = async (username: string, secret: string) =>
    (await registry.send('/v2/', { authorization: basic(username, secret) })).status
  const guesses = Array.from({ length: 11 }, (_, at) => `guess ${at}`)
  for (const username of ['ci', 'gha']) {
    await Promise.all(guesses.map(guess => statusOf(username, guess)))
    expect(await statusOf(username, 'another')).toBe(429)
  }
  expect(await statusOf('ci', robot.text)).toBe(200)
  expect(await statusOf('gha', 'workload.gha.x')).toBe(200)
  expect(await statusOf('ci', apiToken('robot:ci').text)).toBe(401)
  expect(await statusOf('gha', 'workload.gha.y')).toBe(401)
})

it('lets nobody guess on who shows a secret of a machine by the same name in between', async () => {
  await using registry = await guarded(people)
  const statusOf = async (secret: string) =>
    (await registry.send('/v2/', { authorization: basic('modest', secret) })).status
  await Promise.all(Array.from({ length: 11 }, (_, at) => statusOf(`guess ${at}`)))
  expect(await statusOf(robot.text)).toBe(200)
  expect(await statusOf('another')).toBe(429)
})

it('keeps nobody waiting longer because the clock was set back', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
  onTestFinished(() => void vi.useRealTimers())
  await using registry = await guarded(people)
  const guess = (secret: string) => registry.send('/v2/', { authorization: basic('modest', secret) })
  await Promise.all(Array.from({ length: 11 }, (_, at) => guess(`guess ${at}`)))
  vi.setSystemTime(Date.now() - 30 * 86_400_000)
  const { status, headers } = await guess('another')
  expect(status).toBe(429)
  expect(Number(headers['retry-after'])).toBeLessThanOrEqual(15 * 60)
})
