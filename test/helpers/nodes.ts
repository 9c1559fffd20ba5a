/** Several servers on one bucket, and nginx in front of them that sends each request to the next. */
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answers, runNginx } from './nginx.ts'
import { crash } from './processes.ts'
import type { S3Engine } from './s3-engine.ts'
import { startServer, type TestServer } from './server.ts'

export interface Nodes extends AsyncDisposable {
  /** Of the proxy, such as `http://127.0.0.1:21234`. */
  readonly address: string
  /** The servers as they are now. */
  readonly servers: readonly TestServer[]
  /** What a command needs to work on the same bucket. */
  readonly env: Readonly<Record<string, string>>
  /** Kills one with no chance to clean up, and starts it again at the same address. */
  restart(node: number): Promise<void>
  kill(node: number): Promise<void>
  start(node: number): Promise<void>
}

export interface NodesOptions {
  readonly count: number
  readonly env?: Readonly<Record<string, string>>
}

/** Where many clients keep the machine busy. */
const startupMs = 60_000

/** The settings of a server, or a command, that keeps everything in a bucket of an engine. */
async function inBucketOf(engine: S3Engine): Promise<Readonly<Record<string, string>>> {
  return {
    SLIPWAY_STORAGE_S3_BUCKET: `s3://${await engine.bucket()}/some/where`,
    SLIPWAY_STORAGE_S3_ENDPOINT: engine.endpoint.href,
    SLIPWAY_STORAGE_S3_REGION: engine.region,
    SLIPWAY_STORAGE_S3_ACCESS_KEY_ID: engine.accessKeyId,
    SLIPWAY_STORAGE_S3_SECRET_ACCESS_KEY: engine.secretAccessKey,
  }
}

export async function startNodes(engine: S3Engine, { count, env = {} }: NodesOptions): Promise<Nodes> {
  await using undo = new AsyncDisposableStack()
  const place = await inBucketOf(engine)
  const ports = await lastingPorts(count + 1)
  const [front = 0, ...own] = ports
  const servers: TestServer[] = []
  undo.defer(async () => void (await Promise.all(servers.map(server => server[Symbol.asyncDispose]()))))
  const start = async (node: number) => {
    const listen = `127.0.0.1:${own[node]}`
    servers[node] = await startServer({ listen, startupMs, env: { SLIPWAY_WORKERS: '1', ...place, ...env } })
  }
  // All at once: whatever a registry makes once is made by one of them.
  await Promise.all(own.keys().map(start))
  const proxy = await startBalancer(front, own)
  undo.use(proxy)
  const kill = async (node: number) => {
    const server = servers[node]
    if (!server) throw new RangeError(`there is no node ${node}`)
    await crash(server)
    await server[Symbol.asyncDispose]()
  }
  const kept = undo.move()
  return {
    address: `http://127.0.0.1:${front}`,
    servers,
    env: place,
    kill,
    start,
    async restart(node) {
      await kill(node)
      await start(node)
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

/**
 * A proxy that sends each request to the next server. One that cannot be connected to is passed by. What a server has
 * begun and not answered is asked of another only where asking twice does no harm; uploads go through as they come, so
 * what was sent cannot be sent again. Answers say in X-Tried who was asked, one after another, and in X-Statuses what
 * they said.
 */
async function startBalancer(port: number, servers: readonly number[]): Promise<AsyncDisposable> {
  const folder = await mkdtempDisposable(join(tmpdir(), 'slipway-nodes-'))
  const at = (name: string) => join(folder.path, name)
  await writeFile(
    at('nginx.conf'),
    `daemon off; master_process off; pid ${at('pid')}; error_log ${at('error.log')} crit;
    events { worker_connections 4096; }
    http {
      access_log off;
      client_body_temp_path ${at('body')}; proxy_temp_path ${at('proxy')}; fastcgi_temp_path ${at('fastcgi')};
      uwsgi_temp_path ${at('uwsgi')}; scgi_temp_path ${at('scgi')};
      client_max_body_size 0; proxy_http_version 1.1; proxy_read_timeout 120s; proxy_send_timeout 120s;
      proxy_max_temp_file_size 0;
      upstream nodes {
        ${servers.map(each => `server 127.0.0.1:${each} max_fails=1 fail_timeout=1s;`).join(' ')}
        keepalive 32;
      }
      server {
        listen 127.0.0.1:${port};
        proxy_set_header Host $http_host;
        proxy_set_header Connection "";
        proxy_next_upstream error timeout;
        add_header X-Tried $upstream_addr always;
        add_header X-Statuses $upstream_status always;
        location / { proxy_pass http://nodes; }
        location ~ /blobs/uploads/ { proxy_request_buffering off; proxy_pass http://nodes; }
      }
    }`,
  )
  const stop = await runNginx(folder.path, () => answers({ port }))
  return {
    async [Symbol.asyncDispose]() {
      await stop()
      await folder[Symbol.asyncDispose]()
    },
  }
}

/** Ports that nobody has now, and that the kernel gives to nobody while their server is away. */
async function lastingPorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  while (ports.size < count) {
    const port = randomInt(20_000, 32_000)
    if (await isFree(port)) ports.add(port)
  }
  return [...ports]
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
