import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import type { Io } from '../oci/io.ts'
import { findProgram } from './find-program.ts'
import { startProgram } from './launch.ts'

/** The S3 store that all servers of a run keep their content in, each in a bucket of its own. */
export interface Engine {
  readonly name: string
  readonly endpoint: string
  readonly pid: number
  /** An empty bucket. */
  store(): Promise<Store>
  stop(): Promise<void>
}

/** Where a server keeps everything, instead of in its folder. */
export interface Store {
  readonly engine: Engine
  readonly bucket: string
  /** Of the engine, or of what stands before it. */
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Whether the server sends clients to the engine for blobs. */
  readonly redirect: boolean
}

const program = 'versitygw'
const engineModule = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0'
const healthPath = '/health'
const region = 'us-east-1'

/** Throws an Error that says how to get the engine where it is missing. */
export async function startEngine(folder: string, io: Io): Promise<Engine> {
  const file = await findProgram(program, io)
  if (file === undefined) throw new Error(`${program} is missing: go install ${engineModule}`)
  const data = join(folder, 'data')
  await mkdir(data, { recursive: true })
  const credentials = {
    accessKeyId: randomBytes(8).toString('hex'),
    secretAccessKey: randomBytes(16).toString('hex'),
  }
  const { port, pid, stop } = await startProgram(
    program,
    async port => ({
      program: file,
      // Unasked, it ends the connection after every answer.
      args: ['--port', `127.0.0.1:${port}`, '--keep-alive', '--quiet', '--health', healthPath, 'posix', data],
      environment: {
        VGW_REGION: region,
        ROOT_ACCESS_KEY: credentials.accessKeyId,
        ROOT_SECRET_KEY: credentials.secretAccessKey,
      },
    }),
    { folder, readyPath: healthPath },
    io,
  )
  const endpoint = `http://127.0.0.1:${port}`
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true })
  const engine: Engine = {
    name: program,
    endpoint,
    pid,
    async store() {
      const bucket = `bench-${randomBytes(6).toString('hex')}`
      await client.send(new CreateBucketCommand({ Bucket: bucket }), { abortSignal: io.signal })
      return { engine, bucket, endpoint, region, ...credentials, redirect: false }
    },
    async stop() {
      client.destroy()
      await stop()
    },
  }
  return engine
}
