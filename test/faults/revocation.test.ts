/** What is taken away by a command while a server of several workers is busy (auth-security 3.3, rows 22, 24, 25). */
import { Agent, type IncomingMessage, request } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { decodeProtectedHeader } from 'jose'
import { describe, expect, it, onTestFinished } from 'vitest'
import { basic, bearer } from '../helpers/access.ts'
import { type Administered, administered } from '../helpers/administered.ts'
import { content } from '../helpers/blob.ts'
import { canary } from '../helpers/canaries.ts'
import { clockAt } from '../helpers/clock.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { send } from '../helpers/http.ts'
import { digest } from '../helpers/images.ts'
import { type ServerOptions, startServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

const isOurs = process.env.TEST_REGISTRY === undefined
const workers = 3

async function served(options: ServerOptions = {}): Promise<TestServer & Administered> {
  const server = await startServer({ ...options, env: { SLIPWAY_WORKERS: String(workers), ...options.env } })
  onTestFinished(() => server[Symbol.asyncDispose]())
  if (server.data === undefined) throw new Error('the server is not ours')
  return { ...server, ...administered(server.data) }
}

/** Requests on one connection, so to one worker, one after the other. */
function connection({ address }: TestServer) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  onTestFinished(() => agent.destroy())
  return (path: string, authorization: string): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const headers = { Authorization: authorization }
      request(`${address}${path}`, { agent, headers }).once('response', resolve).once('error', reject).end()
    })
}

async function statusOf(answer: Promise<IncomingMessage>): Promise<number | undefined> {
  const response = await answer
  await buffer(response)
  return response.statusCode
}

async function issued(server: TestServer, shown: string, scope: string): Promise<string> {
  const answer = await send(server.address, `/auth/token?${new URLSearchParams({ scope })}`, {
    authorization: shown,
  })
  if (answer.status !== 200) throw new Error(`no token: ${answer.status} ${answer.text}`)
  return bearer((JSON.parse(answer.text) as { token: string }).token)
}

async function push(server: TestServer, shown: string, name: string, bytes: Buffer): Promise<string> {
  const path = `/v2/${name}/blobs/uploads/?digest=${digest(bytes)}`
  const { status } = await send(server.address, path, { method: 'POST', authorization: shown, body: bytes })
  expect(status).toBe(201)
  return `/v2/${name}/blobs/${digest(bytes)}`
}

/** Connections to every worker there is. */
async function toEveryWorker(server: TestServer, path: string, authorization: string) {
  const connections: ReturnType<typeof connection>[] = []
  const pids = () =>
    new Set(server.log.filter(({ operation, status }) => operation && status === 200).map(({ pid }) => pid))
  await until('every worker has a connection', async () => {
    const ask = connection(server)
    connections.push(ask)
    expect(await statusOf(ask(path, authorization))).toBe(200)
    return connections.length >= 2 * workers && pids().size >= workers
  })
  return connections
}

describe.skipIf(!isOurs)('a server of several workers', () => {
  it.for<readonly [what: string, revoke: (server: Administered, id: string) => Promise<unknown>]>([
    ['its API token is revoked', ({ done }, id) => done(`token revoke ${id}`)],
    ['its robot is removed', ({ done }) => done('robot remove ci')],
    [
      'its rule is removed',
      async ({ done }) => {
        const { rules } = JSON.parse(await done('access list --json')) as { rules: { id: string | null }[] }
        for (const { id } of rules) if (id) await done(`access remove ${id}`)
      },
    ],
  ])(
    'lets a client finish what it reads when %s, and read nothing after',
    { timeout: 60_000 },
    async ([, revoke]) => {
      const server = await served()
      await server.done('robot add ci')
      await server.done("access add 'push team/** robot:ci'")
      const secret = await server.done('token create --robot ci')
      const shown = basic('ci', secret)
      const bytes = content('pulled', 24 * 1024 * 1024).bytes
      const blob = await push(server, shown, 'team/app', bytes)
      const token = await issued(server, shown, 'repository:team/app:pull,push')
      const tags = '/v2/team/app/tags/list'
      const connections = await toEveryWorker(server, tags, token)
      for (const ask of connections) expect(await statusOf(ask(tags, shown))).toBe(200)

      const reader = connection(server)
      const half = await reader(blob, token)
      expect([half.statusCode, half.complete]).toEqual([200, false])
      await revoke(server, secret.slice(6, 16))
      // Each worker, at its first request after the command has ended, by both ways.
      for (const ask of connections) {
        expect(await statusOf(ask(tags, token))).toBe(401)
        expect([401, 403]).toContain(await statusOf(ask(tags, shown)))
      }
      expect(digest(await buffer(half))).toBe(digest(bytes))
      expect(await statusOf(reader(blob, token))).toBe(401)
      const again = await send(server.address, '/auth/token?scope=repository:team/app:pull', {
        authorization: shown,
      })
      expect(again.status === 401 || !again.text.includes('repository:team/app')).toBe(true)
    },
  )

  it('turns its keys under load without refusing anybody, but for who holds a token of one that is revoked', async () => {
    const server = await served()
    await server.done('robot add ci')
    await server.done("access add 'push team/** robot:ci'")
    const shown = basic('ci', await server.done('token create --robot ci'))
    const blob = await push(server, shown, 'team/app', content('small', 2_000).bytes)
    const kidOf = (authorization: string) => decodeProtectedHeader(authorization.slice(7)).kid ?? ''
    const tokens = [await issued(server, shown, 'repository:team/app:pull')]
    const [leaked] = tokens.map(kidOf)
    const outcomes: { readonly kid: string; readonly status: number | undefined }[] = []
    let isOver = false
    const client = async () => {
      const ask = connection(server)
      while (!isOver) {
        tokens.push(await issued(server, shown, 'repository:team/app:pull'))
        for (const token of [tokens[0] ?? '', tokens.at(-1) ?? '', tokens[tokens.length >> 1] ?? ''])
          outcomes.push({ kid: kidOf(token), status: await statusOf(ask(blob, token)) })
      }
    }
    const load = Promise.all(Array.from({ length: 8 }, client))
    const more = () => {
      const before = outcomes.length
      return until('there is load', () => outcomes.length > before + 60)
    }
    await more()
    const second = await server.done('keys rotate')
    await more()
    const third = await server.done('keys rotate')
    await more()
    const beforeRevocation = outcomes.length
    await server.done(`keys revoke ${leaked}`)
    const afterRevocation = outcomes.length
    await more()
    isOver = true
    await load

    expect(new Set(tokens.map(kidOf))).toEqual(new Set([leaked, second, third]))
    const statuses = (some: typeof outcomes) => [...new Set(some.map(({ status }) => status))]
    expect(statuses(outcomes.slice(0, beforeRevocation))).toEqual([200])
    expect(statuses(outcomes.filter(({ kid }) => kid !== leaked))).toEqual([200])
    // Eight were under way when the command ended.
    const late = outcomes.slice(afterRevocation + 8).filter(({ kid }) => kid === leaked)
    expect(statuses(late)).toEqual([401])
  }, 60_000)

  it('takes a token in its time, by the clock of the server, with a minute for clocks that differ', async () => {
    const data = await temporaryFolder()
    const password = await administered(data).done('user add bob')
    const startedMs = Date.now()
    let token = ''
    for (const [minutes, status] of [
      [0, 404],
      [14, 404],
      [15.5, 404],
      [17, 401],
      [24 * 60, 401],
      [-0.5, 404],
      [-5, 401],
    ] as const) {
      const env = { SLIPWAY_WORKERS: '1', ...clockAt(startedMs + minutes * 60_000) }
      await using server = await startServer({ data, env })
      token ||= await issued(server, basic('bob', password), 'repository:team/app:pull')
      const answer = await send(server.address, '/v2/team/app/tags/list', { authorization: token })
      expect([minutes, answer.status]).toEqual([minutes, status])
      if (status === 401) expect(answer.challenge).toContain('error="invalid_token"')
    }
  }, 60_000)

  it('takes nothing of another server that has the same url, the same people and the same passwords', async () => {
    const env = { SLIPWAY_URL: 'https://reg.acme.dev', SLIPWAY_WORKERS: '1' }
    const [one, other] = await Promise.all([served({ env }), served({ env })])
    const password = canary('the same in both of them')
    for (const { done } of [one, other]) await done('user add bob --password-stdin', `${password}\n`)
    const tags = '/v2/team/app/tags/list'
    const ofOne = await issued(one, basic('bob', password), 'repository:team/app:pull')
    expect((await send(one.address, tags, { authorization: ofOne })).status).toBe(404)
    const { status, challenge } = await send(other.address, tags, { authorization: ofOne })
    expect([status, challenge]).toEqual([401, expect.stringContaining('error="invalid_token"')])
    const ofBob = basic('bob', await one.done('token create --user bob'))
    expect((await send(one.address, tags, { authorization: ofBob })).status).toBe(404)
    expect((await send(other.address, tags, { authorization: ofBob })).status).toBe(401)
  }, 60_000)
})
