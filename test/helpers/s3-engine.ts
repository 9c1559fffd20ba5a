/** Real S3 engines over a temporary folder each, and a bucket for each test. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempDisposable } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateBucketCommand, ListBucketsCommand, S3Client } from '@aws-sdk/client-s3'
import { test } from 'vitest'
import { secret } from './canaries.ts'
import { describeUnless, needsPrograms } from './obstacles.ts'
import { leashed } from './programs.ts'
import type { S3Credentials } from './s3-signature.ts'
import { until } from './until.ts'

export type EngineName = 'versitygw' | 'minio'

export interface S3Engine extends S3Credentials, AsyncDisposable {
  readonly name: EngineName
  readonly endpoint: URL
  /** Makes a bucket and returns its name. */
  bucket(): Promise<string>
}

interface Launch {
  readonly command: (host: string, folder: string) => readonly [string, ...string[]]
  readonly environment: (credentials: S3Credentials) => Readonly<Record<string, string>>
}

const launches: Readonly<Record<EngineName, Launch>> = {
  versitygw: {
    // Unasked, it ends the connection after every answer.
    command: (host, folder) => ['versitygw', '--port', host, '--keep-alive', '--quiet', 'posix', folder],
    environment: ({ region, accessKeyId, secretAccessKey }) => ({
      VGW_REGION: region,
      ROOT_ACCESS_KEY: accessKeyId,
      ROOT_SECRET_KEY: secretAccessKey,
    }),
  },
  minio: {
    command: (host, folder) => ['minio', 'server', '--quiet', '--address', host, folder],
    environment: ({ region, accessKeyId, secretAccessKey }) => ({
      MINIO_SITE_REGION: region,
      MINIO_ROOT_USER: accessKeyId,
      MINIO_ROOT_PASSWORD: secretAccessKey,
      MINIO_BROWSER: 'off',
      MINIO_UPDATE: 'off',
    }),
  },
}

const engineNames = Object.keys(launches) as readonly EngineName[]

/** Tests on every engine, or on some; each file that has them starts each engine once, and each of its tests has a bucket of its own. */
export function describeEngines(
  behaviours: (it: EngineTest) => void,
  names: readonly EngineName[] = engineNames,
): void {
  for (const name of names) {
    const it = engineTest(name)
    describeUnless(needsPrograms([name]), name, () => behaviours(it))
  }
}

export type EngineTest = ReturnType<typeof engineTest>

function engineTest(name: EngineName) {
  return (
    test
      // biome-ignore lint/correctness/noEmptyPattern: vitest reads the names of fixtures from the pattern
      .extend('engine', { scope: 'file' }, async ({}, { onCleanup }) => {
        const engine = await startEngine(name)
        onCleanup(() => engine[Symbol.asyncDispose]())
        return engine
      })
      .extend('bucket', ({ engine }) => engine.bucket())
  )
}

export async function startEngine(name: EngineName): Promise<S3Engine> {
  // Nobody else's engine answers to these, should it have taken the port.
  const credentials: S3Credentials = {
    region: 'test-region-1',
    accessKeyId: randomBytes(8).toString('hex'),
    secretAccessKey: secret(randomBytes(16).toString('hex')),
  }
  const folder = await mkdtempDisposable(join(tmpdir(), `slipway-${name}-`))
  const host = `127.0.0.1:${await freePort()}`
  const { command, environment } = launches[name]
  const [first, ...rest] = leashed(command(host, folder.path))
  const child = spawn(first, rest, {
    cwd: folder.path,
    env: { PATH: process.env.PATH, HOME: folder.path, ...environment(credentials) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const output of [child.stdout, child.stderr])
    output.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4000)
    })
  const exited = once(child, 'exit')
  const endpoint = new URL(`http://${host}`)
  const client = new S3Client({
    endpoint: endpoint.href,
    region: credentials.region,
    credentials,
    forcePathStyle: true,
    maxAttempts: 1,
  })
  const engine: S3Engine = {
    name,
    endpoint,
    ...credentials,
    async bucket() {
      const bucket = `test-${randomBytes(6).toString('hex')}`
      await client.send(new CreateBucketCommand({ Bucket: bucket }))
      return bucket
    },
    async [Symbol.asyncDispose]() {
      client.destroy()
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      await exited
      await folder[Symbol.asyncDispose]()
    },
  }
  const answers = async () => {
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}: ${said}`)
    return await client.send(new ListBucketsCommand()).then(
      () => true,
      () => false,
    )
  }
  try {
    await until(`${name} answers`, answers, 30_000)
  } catch (cause) {
    await engine[Symbol.asyncDispose]()
    throw new Error(`${name} does not serve: ${said}`, { cause })
  }
  return engine
}

/** A port that nobody has now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('expected a port')
  return address.port
}
