/** Clients whose token ends while they upload for two minutes (auth-security 1.11). */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Transform } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { password } from '../helpers/access.ts'
import { send } from '../helpers/http.ts'
import { describeLoginClients } from '../helpers/login-clients.ts'
import { type ProtectedServer, protectedServer } from '../helpers/protected.ts'
import { openTap } from '../helpers/tap.ts'
import { agedTwin } from '../helpers/token-twin.ts'
import { pause } from '../helpers/until.ts'

const layerBytes = 6_000_000
const uploadMs = 125_000
/** No client goes by less. A token is taken as long as this, and not a moment longer but for uploads. */
const tokenSeconds = 60
/** The life of a token is 15 minutes: what is as old as that is taken for a minute more, as clocks differ. */
const ageMs = 15 * 60_000

let server: ProtectedServer

/** Gives tokens that are over after a minute, and says so. */
async function giveShortTokens({ url = '', headers }: IncomingMessage, outgoing: ServerResponse) {
  if (!url.startsWith('/auth/token')) return
  const { host = '', authorization } = headers
  const answer = await send(server.address, url, { headers: { Host: host }, authorization })
  const { token } = JSON.parse(answer.text) as { token: string }
  const short = await agedTwin(server.store, token, ageMs)
  const body = JSON.stringify({ token: short, access_token: short, expires_in: tokenSeconds })
  outgoing.writeHead(200, { 'Content-Type': 'application/json' }).end(body)
}

const slowly = () =>
  new Transform({
    transform(chunk: Buffer, _, done) {
      pause((chunk.length / layerBytes) * uploadMs).then(() => done(null, chunk), done)
    },
  })

describe.skipIf(process.env.TEST_REGISTRY).concurrent('an upload of two minutes', () => {
  beforeAll(async () => {
    server = await protectedServer({})
  })
  afterAll(() => server[Symbol.asyncDispose]())

  describeLoginClients(({ program, client, person, push }) => {
    it('ends well, although the token of its beginning has ended', async () => {
      await using tap = await openTap(server.host, { before: giveShortTokens, through: slowly })
      const writer = await person(tap.host)
      await writer.done(client.login(tap.host, 'writer', password))
      const made = await client.make(writer, `${program}-slow`, layerBytes)
      const to = `${tap.host}/${program}/slow:1`

      const pushed = await push(writer, made, to, { boundMs: 3 * uploadMs })
      const uploads = tap.exchanges.filter(({ path }) => path.includes('/blobs/uploads/'))
      expect(uploads.map(({ status }) => status)).not.toContain(401)
      const first = { authorization: uploads[0]?.authorization }
      expect((await send(server.address, '/v2/', first)).status).toBe(401)
      // crane, refused with its manifest, gets another token, and has at times nothing left to send.
      if (program === 'crane' && pushed.status !== 0) expect(pushed.output).toContain('with Body length 0')
      else expect(pushed).toMatchObject({ status: 0 })

      const before = tap.uploadedBytes()
      expect(await push(writer, made, to)).toMatchObject({ status: 0 })
      expect(tap.uploadedBytes() - before).toBeLessThan(5_000)
    })
  })
})
