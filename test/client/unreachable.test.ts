import { once } from 'node:events'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createServer as createTcpServer, type Server } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { expect, it, onTestFinished } from 'vitest'
import { session } from '../../client/session.ts'
import { selfSigned } from '../helpers/certificate.ts'
import { scriptedServer } from '../helpers/scripted-server.ts'
import { io } from '../helpers/waiting.ts'

const ping = (url: string) =>
  session(new URL(url), new URL(url).host, async () => undefined).ask(
    { what: 'ping', to: '/v2/', method: 'GET', scopes: [], expected: [200] },
    io,
  )

async function listening(server: Server): Promise<number> {
  onTestFinished(() => void server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  // A TCP server's address is never a string.
  return (server.address() as AddressInfo).port
}

it('is told of a registry that speaks no TLS', async () => {
  await using server = await scriptedServer(() => ({}))

  await expect(ping(`https://${server.host}`)).rejects.toThrow(
    `${server.host} cannot be reached: it does not speak TLS: use --plain-http if it is meant not to`,
  )
})

it('is told of something that speaks no HTTP', async () => {
  const port = await listening(createTcpServer(socket => void socket.end('SSH-2.0-OpenSSH_9.9\r\n')))

  await expect(ping(`http://127.0.0.1:${port}`)).rejects.toThrow(
    `127.0.0.1:${port} cannot be reached: it does not speak HTTP: use --tls if it is meant to speak TLS`,
  )
})

it('is told of a registry that ends the connection', async () => {
  const port = await listening(
    createTcpServer(socket => void socket.once('data', () => socket.resetAndDestroy())),
  )

  await expect(ping(`http://127.0.0.1:${port}`)).rejects.toThrow(
    `127.0.0.1:${port} cannot be reached: it ended the connection: try again, or use --tls if it is meant to speak TLS`,
  )
})

it('trusts a certificate only when its signer is trusted, and leads no secret from TLS to none', async () => {
  const tls = selfSigned()
  let wantsCredentials = false
  const server = createTlsServer(tls, (_, res) => {
    const realm = `Bearer realm="http://127.0.0.1:${port}/token"`
    if (wantsCredentials) res.writeHead(401, { 'WWW-Authenticate': realm })
    res.end()
  })
  const port = await listening(server)
  const url = `https://127.0.0.1:${port}`

  await expect(ping(url)).rejects.toThrow(
    /its certificate is signed by nobody known: .* NODE_EXTRA_CA_CERTS$/,
  )
  const usual = getCACertificates()
  onTestFinished(() => setDefaultCACertificates(usual))
  setDefaultCACertificates([tls.cert])
  expect(await ping(url)).toMatchObject({ status: 200 })
  wantsCredentials = true
  await expect(ping(url)).rejects.toThrow(`points from https to http://127.0.0.1:${port}: refused`)
})
