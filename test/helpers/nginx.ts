import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
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
  await writeFile(
    at('nginx.conf'),
    `daemon off; master_process off; pid ${at('pid')}; error_log ${at('error.log')};
    events {}
    http {
      access_log off;
      client_body_temp_path ${at('body')}; proxy_temp_path ${at('proxy')}; fastcgi_temp_path ${at('fastcgi')};
      uwsgi_temp_path ${at('uwsgi')}; scgi_temp_path ${at('scgi')};
      client_header_timeout 1s; client_body_timeout 1s; lingering_timeout 1s; lingering_close off;
      upstream registry { server 127.0.0.1:${port} max_fails=0; keepalive 4; }
      ${server(paths.buffered, 'on')}
      ${server(paths.unbuffered, 'off')}
    }`,
  )
  const stop = await runNginx(folder.path, () =>
    Promise.all([answers({ path: paths.buffered }), answers({ path: paths.unbuffered })]),
  )
  return {
    paths,
    async [Symbol.asyncDispose]() {
      await stop()
      await folder[Symbol.asyncDispose]()
    },
  }
}

/** nginx with the file nginx.conf of a folder, until what is returned is called. */
export async function runNginx(path: string, isReady: () => Promise<unknown>): Promise<() => Promise<void>> {
  const [first, ...rest] = leashed(['nginx', '-p', path, '-e', join(path, 'error.log'), '-c', 'nginx.conf'])
  const child = spawn(first, rest, { stdio: 'inherit' })
  const exited = once(child, 'exit')
  // A socket is there a moment before anybody listens on it.
  await vi.waitFor(isReady, { timeout: 5000, interval: 10 })
  return async () => {
    child.kill('SIGTERM')
    await exited
  }
}

export async function answers(at: { readonly path: string } | { readonly port: number }): Promise<void> {
  const socket = connect({ ...at })
  await once(socket, 'connect').finally(() => socket.destroy())
}
