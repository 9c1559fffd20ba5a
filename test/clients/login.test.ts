/** Clients that log in, or do not: what they may, and what each prints of what it may not. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { basic, password } from '../helpers/access.ts'
import { send } from '../helpers/http.ts'
import { image, mediaTypes } from '../helpers/images.ts'
import { describeLoginClients, type LoginProgram, type Person } from '../helpers/login-clients.ts'
import { type ProtectedServer, protectedServer } from '../helpers/protected.ts'

/** What a client prints of what it is refused: the part that tells its user why. `failure` is its exit code. */
interface Words {
  readonly failure: number
  readonly wrongPassword: string
  /** A login keeps the password and asks nobody whether it is right. */
  readonly loginAsksNobody?: true
  readonly wrongSecret: string
  readonly hidden: (name: string) => string
  /** Of a push to what may not be seen either: clients begin with HEAD, whose answers have no words. */
  readonly unpushable: (name: string) => string
  readonly pullOnly: (who: string, name: string) => string
}

const hint = (who: string, name: string) => `unauthorized: ${who} has pull on ${name}, which takes push`
const containers: Words = {
  failure: 125,
  wrongPassword: 'invalid username/password',
  wrongSecret: 'unable to retrieve auth token: invalid username/password: unauthorized: incorrect username',
  hidden: name => `unauthorized: access to repository ${name} is not granted`,
  unpushable: () => 'denied: requested access to the resource is denied',
  pullOnly: hint,
}
const words: Readonly<Record<LoginProgram, Words>> = {
  docker: {
    failure: 1,
    wrongPassword: 'unauthorized: incorrect username or password',
    wrongSecret: 'unauthorized: incorrect username or password',
    hidden: name => `/${name}, repository does not exist or may require 'docker login': denied: `,
    unpushable: () => 'denied: requested access to the resource is denied',
    // It says the rest only where it has a layer less to send: what it prints is what its first request is told.
    pullOnly: () => 'denied: requested access to the resource is denied',
  },
  podman: containers,
  buildah: containers,
  skopeo: { ...containers, failure: 1 },
  crane: {
    failure: 1,
    wrongPassword: 'UNAUTHORIZED: incorrect username or password',
    loginAsksNobody: true,
    wrongSecret: 'UNAUTHORIZED: incorrect username or password',
    hidden: name => `UNAUTHORIZED: access to repository ${name} is not granted`,
    unpushable: name => `/v2/${name}/manifests/denied: unexpected status code 401 Unauthorized`,
    pullOnly: (who, name) => `UNAUTHORIZED: ${who} has pull on ${name}, which takes push`,
  },
  regctl: {
    failure: 1,
    wrongPassword: 'failed to ping registry',
    wrongSecret: ': unauthorized',
    hidden: name => `/${name}:1: unauthorized`,
    unpushable: name => `/${name}:denied: unauthorized`,
    pullOnly: (_, name) => `/${name}:denied: unauthorized`,
  },
}

const repositories = ['team/app', 'public/app', 'secret/app', 'team/base', 'public/base']

let server: ProtectedServer

/** What comes into the log comes a moment later. */
const logged = (line: Readonly<Record<string, unknown>>, start: number) =>
  expect
    .poll(() => server.log.slice(start), { timeout: 10_000 })
    .toContainEqual(expect.objectContaining(line))

const accept = `${mediaTypes.oci.manifest}, ${mediaTypes.docker.manifest}`

/** Asks for a manifest as somebody who may see all of them. */
const manifestOf = (name: string, reference = '1') =>
  send(server.address, `/v2/${name}/manifests/${reference}`, {
    authorization: basic('writer', password),
    headers: { Accept: accept },
  })

async function layersOf(name: string): Promise<readonly string[]> {
  const { layers } = JSON.parse((await manifestOf(name)).text) as { layers: { digest: string }[] }
  return layers.map(({ digest }) => digest)
}

describe.skipIf(process.env.TEST_REGISTRY)('who logs in', () => {
  beforeAll(async () => {
    const images = repositories.map(name => [name, image({ seed: name, layers: [1_000, 50_000] })])
    server = await protectedServer(Object.fromEntries(images))
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    expect(server.log.filter(({ status }) => Number(status) >= 500)).toEqual([])
  })

  describeLoginClients(({ program, client, person, push }) => {
    const { failure, ...says } = words[program]
    const named = (name: string, tag = '1') => `${server.host}/${name}:${tag}`
    const nobody = () => person(server.host)
    let [pulls, images] = [0, 0]

    async function loggedIn(username: string, secret = password): Promise<Person> {
      const somebody = await nobody()
      await somebody.done(client.login(server.host, username, secret))
      return somebody
    }
    const somebody = (who: string) => (who === 'nobody' ? nobody() : loggedIn(who))
    const pull = (who: Person, name: string) =>
      who.attempt(client.pull(named(name), who.path(`pulled-${++pulls}`)))
    const make = (who: Person) => client.make(who, `${program}-${++images}`, 50_000)
    const refused = (text: string) => ({ status: failure, output: expect.stringContaining(text) })

    it('is let in with the right password, and told of a wrong one', async () => {
      const writer = await nobody()
      const login = await writer.attempt(client.login(server.host, 'writer', 'not the password'))
      expect(login.status, login.output).toBe(says.loginAsksNobody ? 0 : failure)
      const told = says.loginAsksNobody ? await pull(writer, 'team/app') : login
      expect(told).toMatchObject(refused(says.wrongPassword))
      expect(await pull(writer, 'team/app')).toMatchObject({ status: failure })

      await writer.done(client.login(server.host, 'writer', password))
      expect(await pull(writer, 'team/app')).toMatchObject({ status: 0 })
    })

    it.for([
      ['nobody', 'public/base', 'anonymous'],
      ['reader', 'team/base', 'user:reader'],
    ] as const)('as %s pulls %s', async ([username, name, who]) => {
      const start = server.log.length
      expect(await pull(await somebody(username), name)).toMatchObject({ status: 0 })
      await logged({ operation: 'getBlob', name, status: 200, who, by: 'issued' }, start)
    })

    it.for([
      ['nobody', 'team/app', 'team/missing'],
      ['reader', 'secret/app', 'secret/missing'],
    ] as const)('as %s is told the same of %s as of what is not there', async ([username, name, missing]) => {
      const who = await somebody(username)
      const [hidden, absent] = [await pull(who, name), await pull(who, missing)]
      expect(hidden).toMatchObject(refused(says.hidden(name)))
      expect(absent).toMatchObject(refused(says.hidden(missing)))
    })

    it('pulls no more when it has logged out', async () => {
      const reader = await loggedIn('reader')
      await reader.done(client.logout(server.host))
      expect(await pull(reader, 'team/app')).toMatchObject(refused(says.hidden('team/app')))
    })

    // All of them can. docker, podman, buildah and skopeo remember where they have seen a layer; crane and regctl mount
    // when they copy within a registry.
    it('pushes, and takes layers to a second repository without sending them again', async () => {
      const writer = await loggedIn('writer')
      const [first, second] = [`${program}/first`, `${program}/second`]
      const image = await make(writer)
      expect(await push(writer, image, named(first))).toMatchObject({ status: 0 })
      const start = server.log.length
      const copied = client.copy
        ? await writer.attempt(client.copy(named(first), named(second)))
        : await push(writer, image, named(second))
      expect(copied).toMatchObject({ status: 0 })

      const byWriter = { who: 'user:writer', by: 'issued' }
      await logged({ ...byWriter, operation: 'putManifest', name: second, status: 201 }, start)
      const layers = await layersOf(second)
      expect(layers.length).toBeGreaterThan(0)
      for (const digest of layers)
        await logged({ ...byWriter, operation: 'mountBlob', name: second, digest, status: 201 }, start)
      const sent = server.log.filter(line => line.name === second && line.operation === 'finishUpload')
      for (const { digest } of sent) expect(layers).not.toContain(digest)
    })

    it.for([
      ['nobody', 'team/app', 'nothing', ''],
      ['reader', 'secret/app', 'nothing', ''],
      ['nobody', 'public/app', 'pull', 'anonymous'],
      ['reader', 'team/app', 'pull', 'user:reader'],
    ] as const)('as %s pushes nothing to %s, of which it has %s', async ([username, name, has, who]) => {
      const pusher = await somebody(username)
      const told = await push(pusher, await make(pusher), named(name, 'denied'))
      expect(told).toMatchObject(refused(has === 'pull' ? says.pullOnly(who, name) : says.unpushable(name)))
      expect((await manifestOf(name, 'denied')).status).toBe(404)
    })

    it.for(['revoke', 'expire'] as const)('is told of an API token %sd', async how => {
      const token = await server.robotToken()
      const robot = await loggedIn('ci', token.text)
      expect(await pull(robot, 'team/app')).toMatchObject({ status: 0 })
      await token[how]()
      expect(await pull(robot, 'team/app')).toMatchObject(refused(says.wrongSecret))
      const told = await push(robot, await make(robot), named('team/app', 'denied'))
      expect(told).toMatchObject(refused(says.wrongSecret))
      expect(told.output).not.toContain(token.text)
    })
  })
})
