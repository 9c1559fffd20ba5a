import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { type ConnectionOptions, connect, type PeerCertificate, type TLSSocket } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { selfSigned } from '../helpers/certificate.ts'
import { converse, parseAnswers } from '../helpers/converse.ts'
import { type RegistryOverrides, startRegistry } from '../helpers/registry.ts'
import { codeOf, raw } from '../helpers/requests.ts'

const certificate = selfSigned()

async function secure(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options })
  await once(socket, 'secureConnect')
  return socket
}

/** What comes back for bytes that are sent over TLS, until the server ends the connection. */
async function converseTls(port: number, bytes: string | Buffer, options?: ConnectionOptions) {
  const socket = await secure(port, options)
  socket.write(bytes)
  return parseAnswers(Buffer.concat(await socket.toArray()))
}

const fingerprint = (socket: TLSSocket) => {
  // Only a socket that is gone has none.
  const { fingerprint256 } = socket.getPeerCertificate() as PeerCertificate
  return fingerprint256
}

/** Resolves once the other side has ended the connection, with what it said. */
async function ending(port: number, bytes: string | Buffer): Promise<string> {
  const socket = connectTcp({ host: '127.0.0.1', port })
  const chunks: Buffer[] = []
  socket.on('error', () => {}).on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.write(bytes)
  await new Promise(resolve => socket.once('close', resolve))
  return Buffer.concat(chunks).toString('latin1')
}

describe('with a certificate', () => {
  const start = (more: RegistryOverrides = {}) => startRegistry({ certificate, ...more })

  it('says https, and answers', async () => {
    await using registry = await start()
    expect(registry.address).toBe(`https://127.0.0.1:${registry.port}`)
    const [answer] = await converseTls(registry.port, raw({ target: '/v2/' }))
    expect([answer?.status, answer?.body.toString()]).toEqual([200, '{}'])
  })

  it('takes bodies and gives them back', async () => {
    await using registry = await start()
    const body = Buffer.alloc(3_000_000, 'slipway')
    const digest = `sha256:${Buffer.from(await crypto.subtle.digest('SHA-256', body)).toString('hex')}`
    const target = `/v2/a/blobs/uploads/?digest=${digest}`
    const [pushed] = await converseTls(registry.port, raw({ method: 'POST', target, body }))
    expect(pushed?.status).toBe(201)
    const [pulled] = await converseTls(registry.port, raw({ target: `/v2/a/blobs/${digest}` }))
    expect(pulled?.body.equals(body)).toBe(true)
  })

  it('speaks TLS 1.2 and 1.3, and HTTP/1.1 whatever else is offered', async () => {
    await using registry = await start()
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const ALPNProtocols = ['h2', 'http/1.1']
      const socket = await secure(registry.port, { minVersion: version, maxVersion: version, ALPNProtocols })
      expect([socket.getProtocol(), socket.alpnProtocol]).toEqual([version, 'http/1.1'])
      socket.destroy()
    }
  })

  it.for(['TLSv1', 'TLSv1.1'] as const)('does not speak %s', async version => {
    await using registry = await start()
    // Without @SECLEVEL=0 it is the client that refuses.
    const old = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' } as const
    await expect(secure(registry.port, old)).rejects.toThrow(/alert protocol version/i)
  })

  it.for([
    ['Transfer-Encoding twice over', 'GET /v2/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n', 400],
    ['two hosts', 'GET /v2/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
    ['no HTTP', 'hello\r\n\r\n', 400],
    ['a header of 1 MB', `GET /v2/ HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(1_000_000)}\r\n\r\n`, 431],
  ] as const)('is as strict as without: %s', async ([, bytes, status]) => {
    await using registry = await start()
    const [answer] = await converseTls(registry.port, bytes)
    expect(answer?.status).toBe(status)
    expect(answer && codeOf(answer)).toBeDefined()
  })

  it.for([
    ['plain HTTP', 'GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['noise', Buffer.alloc(2_000, 0x16)],
  ] as const)('ends a connection that brings %s, and says nothing of itself', async ([, bytes]) => {
    await using registry = await start()
    expect(await ending(registry.port, bytes)).not.toMatch(/HTTP|errors/)
    const [answer] = await converseTls(registry.port, raw({ target: '/v2/' }))
    expect(answer?.status).toBe(200)
  })

  it('ends a connection on which no handshake comes', async () => {
    await using registry = await start({ limits: { headersMs: 200 } })
    expect(await ending(registry.port, '')).toBe('')
  })

  it('counts connections of an address before their handshake', async () => {
    await using registry = await start({ limits: { connectionsPerAddress: 1 } })
    const held = await secure(registry.port)
    await expect(secure(registry.port)).rejects.toThrow()
    held.destroy()
  })

  it('goes on with another certificate, and leaves connections that are there alone', async () => {
    await using registry = await start()
    const before = await secure(registry.port)
    const first = fingerprint(before)
    registry.renew(selfSigned())
    const after = await secure(registry.port)
    expect(fingerprint(after)).not.toBe(first)
    before.write(raw({ target: '/v2/' }))
    expect(parseAnswers(Buffer.concat(await before.toArray()))).toMatchObject([{ status: 200 }])
    after.destroy()
  })
})

it('speaks no TLS without one', async () => {
  await using registry = await startRegistry()
  await expect(secure(registry.port)).rejects.toThrow()
  expect(await converse(registry.port, raw({ target: '/v2/' }))).toMatchObject([{ status: 200 }])
})
