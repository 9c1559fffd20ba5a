/** What becomes of a transfer while keys are turned or revoked, or the client's token ends (auth-security 1.11). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { password } from '../helpers/access.ts'
import { administered } from '../helpers/administered.ts'
import { image } from '../helpers/images.ts'
import { describeLoginClients, type LoginProgram, type Person } from '../helpers/login-clients.ts'
import { type ProtectedServer, protectedServer } from '../helpers/protected.ts'
import { type Exchange, openTap, type Tap } from '../helpers/tap.ts'
import { agedTwin, kidIn, tokenIn } from '../helpers/token-twin.ts'

/** These take a 401 for a reason to get another token; the others go by the time that it was given for. */
const getsAnotherAtOnce: readonly LoginProgram[] = ['crane']

const layers = Array.from({ length: 5 }, (_, at) => 20_000 + at)
const minuteMs = 60_000

let server: ProtectedServer

const isLayerOf = ({ method, path }: Pick<Exchange, 'method' | 'path'>, name: string) =>
  method === 'GET' && path.startsWith(`/v2/${name}/blobs/`)
const isUploadPart = ({ method, path }: Pick<Exchange, 'method' | 'path'>) =>
  (method === 'PATCH' || method === 'PUT') && path.includes('/blobs/uploads/')

/** The digests of uploads that became blobs. */
const finishedIn = (exchanges: readonly Exchange[]) =>
  exchanges
    .filter(({ path, status }) => path.includes('/blobs/uploads/') && status === 201)
    .map(({ path }) => new URLSearchParams(path.split('?')[1]).get('digest'))

/** A tap that lets one blob pass, and the others when `meanwhile` has been done, which is told the key of their token. */
function tapThatWaits(name: string, meanwhile: (kid: string) => Promise<unknown>): Promise<Tap> {
  let blobs = 0
  let done: Promise<unknown> | undefined
  return openTap(server.host, {
    async before({ method = '', url = '', headers }) {
      if (!isLayerOf({ method, path: url }, name) || ++blobs === 1) return
      done ??= meanwhile(kidIn(headers.authorization) ?? '')
      await done
    },
  })
}

describe.skipIf(process.env.TEST_REGISTRY)('a transfer', () => {
  beforeAll(async () => {
    const images = ['team/turned', 'team/revoked', 'team/next'].map(name => [
      name,
      image({ seed: name, layers }),
    ])
    server = await protectedServer(Object.fromEntries(images))
  })
  afterAll(() => server[Symbol.asyncDispose]())

  describeLoginClients(({ program, client, person, push }) => {
    async function loggedIn(host: string, username: string): Promise<Person> {
      const somebody = await person(host)
      await somebody.done(client.login(host, username, password))
      return somebody
    }
    const pull = (who: Person, host: string, name: string) =>
      who.attempt(client.pull(`${host}/${name}:1`, who.path(name.replace('/', '-'))))
    const keysOf = ({ exchanges }: Tap, name: string, status: number) =>
      new Set(
        exchanges.flatMap(each =>
          isLayerOf(each, name) && each.status === status ? [kidIn(each.authorization)] : [],
        ),
      )

    it('ends well by the token that it began with when the key is turned', async () => {
      const { done } = administered(server.data)
      const kids: string[] = []
      await using tap = await tapThatWaits('team/turned', async kid =>
        kids.push(kid, await done('keys rotate')),
      )
      const reader = await loggedIn(tap.host, 'reader')

      expect(await pull(reader, tap.host, 'team/turned')).toMatchObject({ status: 0 })
      const [before, after] = kids
      expect(before).not.toBe(after)
      expect(keysOf(tap, 'team/turned', 200)).toEqual(new Set([before]))
      expect(await pull(reader, tap.host, 'team/next')).toMatchObject({ status: 0 })
      expect(keysOf(tap, 'team/next', 200)).toEqual(new Set([after]))
    })

    it('goes on by another token when the key is revoked, at the latest when it is asked for again', async () => {
      const { done } = administered(server.data)
      const kids: string[] = []
      await using tap = await tapThatWaits('team/revoked', async kid => {
        kids.push(kid)
        await done(`keys revoke ${kid}`)
      })
      const reader = await loggedIn(tap.host, 'reader')

      const first = await pull(reader, tap.host, 'team/revoked')
      expect(keysOf(tap, 'team/revoked', 401)).toEqual(new Set(kids))
      if (getsAnotherAtOnce.includes(program)) expect(first).toMatchObject({ status: 0 })
      else if (first.status !== 0) expect(first.output).toContain('unauthorized')
      const taken = tap.exchanges.length
      expect(await pull(reader, tap.host, 'team/revoked')).toMatchObject({ status: 0 })
      // docker still asks for layers of the first pull by the token that it had.
      const given = tap.exchanges.slice(taken).filter(({ status }) => status === 200)
      expect(given.length).toBeGreaterThan(0)
      expect(given.map(each => kidIn(each.authorization))).not.toContain(kids[0])
    })

    // How the push ends is another matter: all of them but crane go by the time that their token was given for, and
    // crane has at times no manifest left when it sends it again. Said here is that nothing of what was sent is lost.
    it('may bring the rest of an upload by a token that has ended meanwhile', async () => {
      const name = `${program}/late`
      // From the first bytes on, tokens that were given before are such as ended a minute ago.
      const twins = new Map<string, Promise<string>>()
      let isLate = false
      await using tap = await openTap(server.host, {
        async before({ method = '', url: path = '', headers }) {
          const token = tokenIn(headers.authorization)
          if (token === undefined) return
          isLate ||= isUploadPart({ method, path })
          // One for each: a client asks for several layers at once by the same.
          if (!isLate && !twins.has(token)) twins.set(token, agedTwin(server.store, token, 17 * minuteMs))
          const twin = await twins.get(token)
          if (isLate && twin !== undefined) headers.authorization = `Bearer ${twin}`
        },
      })
      const writer = await loggedIn(tap.host, 'writer')
      const made = await client.make(writer, `${program}-late`, 2_000_000)
      const to = `${tap.host}/${name}:1`

      await push(writer, made, to)
      const ended = new Set(await Promise.all(twins.values()))
      const late = tap.exchanges.filter(each => ended.has(tokenIn(each.authorization) ?? ''))
      const parts = late.filter(isUploadPart)
      expect(parts.length).toBeGreaterThan(0)
      expect(parts.map(({ status }) => status)).not.toContain(401)
      const others = late.filter(each => !parts.includes(each))
      expect(new Set(others.map(({ status }) => status))).toEqual(new Set([401]))
      const kept = finishedIn(tap.exchanges)
      expect(kept.length).toBeGreaterThan(0)

      const begin = tap.exchanges.length
      expect(await push(writer, made, to)).toMatchObject({ status: 0 })
      // docker asks for no layer whose digest it has not seen in a push that ended well.
      if (program !== 'docker')
        for (const digest of finishedIn(tap.exchanges.slice(begin))) expect(kept).not.toContain(digest)
    })
  })
})
