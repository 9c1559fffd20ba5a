import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { connect, createServer, type NetConnectOpts } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
import { selfSigned } from './certificate.ts'
import { leashed } from './programs.ts'

export interface Proxy extends AsyncDisposable {
  /** The unix socket that reads a body whole before it sends it on, and the one that does not. */
  readonly paths: { readonly buffered: string; readonly unbuffered: string }
}

/** nginx before a server, with connections to it that are used again, giving each request that it sees an id of its own. */
export async function startNginx(port: number): Promise<Proxy> {
  const folder = await mkdtempDisposable(join(tmpdir(), 'slipway-nginx-'))
  const at = (name: string) => join(folder.path, name)
  const paths = { buffered: at('buffered.sock'), unbuffered: at('unbuffered.sock') }
  const server = (path: string, buffering: 'on' | 'off') => `
    server {
      listen unix:${path};
      location / {
        proxy_pass http://registry;
        proxy_http_version 1.1;
        proxy_next_upstream off;
        proxy_request_buffering ${buffering};
        proxy_set_header Connection "";
        proxy_set_header X-Request-Id nginx-$connection-$connection_requests;
      }
    }`
  const upstream = `upstream registry { server 127.0.0.1:${port} max_fails=0; keepalive 4; }`
  const servers = `${upstream} ${server(paths.buffered, 'on')} ${server(paths.unbuffered, 'off')}`
  const stop = await launch(folder, servers, [{ path: paths.buffered }, { path: paths.unbuffered }])
  return { paths, [Symbol.asyncDispose]: stop }
}

export interface ExampleProxy extends AsyncDisposable {
  /** Where it speaks TLS, with a certificate for localhost. */
  readonly host: string
  readonly port: number
  readonly cert: string
}

/** nginx as deploy/nginx.example.conf has it, but for its addresses and the places of its files. */
export async function startExample(example: string, registry: string): Promise<ExampleProxy> {
  const folder = await mkdtempDisposable(join(tmpdir(), 'slipway-nginx-'))
  const at = (name: string) => join(folder.path, name)
  const { cert, key } = selfSigned()
  await writeFile(at('registry.crt'), cert)
  await writeFile(at('registry.key'), key)
  const { host, port } = await freeAddress()
  const replaced = [
    ['443 ssl', `${host}:${port} ssl`],
    ['http://127.0.0.1:5000;', `${registry};`],
    ['/etc/nginx/registry.crt', at('registry.crt')],
    ['/etc/nginx/registry.key', at('registry.key')],
  ] as const
  const servers = replaced.reduce(
    (text, [from, to]) => {
      if (!text.includes(from)) throw new Error(`the example has no ${from}`)
      return text.replaceAll(from, to)
    },
    example.replaceAll(/^\s*#.*$/gm, ''),
  )
  const stop = await launch(folder, servers, [{ host, port }])
  return { host, port, cert, [Symbol.asyncDispose]: stop }
}

/** Runs nginx until what it returns is called. The folder goes with it. */
async function launch(folder: AsyncDisposable & { path: string }, servers: string, doors: NetConnectOpts[]) {
  const at = (name: string) => join(folder.path, name)
  await writeFile(
    at('nginx.conf'),
    `daemon off; master_process off; pid ${at('pid')}; error_log ${at('error.log')};
    events {}
    http {
      access_log off;
      client_body_temp_path ${at('body')}; proxy_temp_path ${at('proxy')}; fastcgi_temp_path ${at('fastcgi')};
      uwsgi_temp_path ${at('uwsgi')}; scgi_temp_path ${at('scgi')};
      client_header_timeout 1s; client_body_timeout 1s; lingering_timeout 1s; lingering_close off;
      ${servers}
    }`,
  )
  const stop = await runNginx(folder.path, () => Promise.all(doors.map(answers)))
  return async () => {
    await stop()
    await folder[Symbol.asyncDispose]()
  }
}

/** nginx with the file nginx.conf of a folder, until what is returned is called. */
export async function runNginx(path: string, isReady: () => Promise<unknown>): Promise<() => Promise<void>> {
  const [first, ...rest] = leashed(['nginx', '-p', path, '-e', join(path, 'error.log'), '-c', 'nginx.conf'])
  const child = spawn(first, rest, { stdio: 'inherit' })
  const exited = once(child, 'exit')
  // A socket is there a moment before anybody listens on it.
  const stop = async () => {
    child.kill('SIGTERM')
    await exited
  }
  await vi.waitFor(isReady, { timeout: 5000, interval: 10 }).catch(async error => {
    await stop()
    throw error
  })
  return stop
}

/** An address of the loopback network that no other test chooses, and a port that is free there. */
async function freeAddress(): Promise<{ host: string; port: number }> {
  const host = `127.${[...randomBytes(3)].map(byte => 1 + (byte % 254)).join('.')}`
  const server = createServer().listen(0, host)
  await once(server, 'listening')
  const address = server.address()
  await new Promise(resolve => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('it listens on a port')
  return { host, port: address.port }
}

export async function answers(door: NetConnectOpts): Promise<void> {
  const socket = connect(door)
  await once(socket, 'connect').finally(() => socket.destroy())
}
