/** How requests go to S3: by the AWS SDK, which only the files s3-*.ts know. */
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { RegistryError } from '../oci/errors.ts'
import { aheadMs, apartText, mostApartMs } from './clocks.ts'
import type { MutationOptions } from './object-store.ts'
import { comeAgain, mayBeDone } from './s3-faults.ts'
import { type Readers, readersOf } from './s3-readers.ts'

export interface S3Settings {
  readonly bucket: string
  /** In front of every key, as `team/registry`. */
  readonly prefix?: string | undefined
  /** Of a store that is not AWS. */
  readonly endpoint?: string | undefined
  readonly region: string
  readonly pathStyle: boolean
  /** Otherwise those that the environment, a profile or the machine has, as the SDK finds them. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined
  /** As if every request had been under way for so long already. */
  readonly signedMsAgo?: number
}

/** How long a store may keep us waiting. */
export interface Patience {
  /** Of one request, the first included; between them the SDK waits longer and longer. */
  readonly attempts: number
  readonly connectMs: number
  /** How long a request or its answer may stand still. */
  readonly silenceMs: number
  /** How far the store's clock may be from ours for anything to be changed; as far as a start allows, unless it is said. */
  readonly apartMs?: number
}

export const usualPatience: Patience = { attempts: 4, connectMs: 5_000, silenceMs: 15_000 }
/** How much content may be on its way at once, and how many connections there are for that and everything else. */
const mostReaders = 256
const sockets = 2 * mostReaders

/** Where a bucket is, and the way there. */
export interface Requests {
  readonly send: S3Client['send']
  readonly bucket: string
  /** In front of every key: empty, or with a slash at its end. */
  readonly prefix: string
  readonly patience: Patience
  readonly readers: Readers
  /** How far the store's clock was ahead of ours when it answered last. */
  readonly clock: { aheadMs: number; readonly mostMs: number }
  at(key: string): { readonly Bucket: string; readonly Key: string }
  /** What stands before the keys of objects in their addresses. */
  base(): Promise<string>
  /** What requests are signed with at this moment. */
  signer(): Promise<Signer>
  close(): void
}

export interface Signer {
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Of credentials that end. */
  readonly sessionToken?: string | undefined
  readonly expiration?: Date | undefined
  /** By how much the store's clock is ahead of ours. */
  readonly clockOffsetMs: number
}

export function s3Requests(settings: S3Settings, patience: Patience): Requests {
  const { attempts, connectMs, silenceMs, apartMs = mostApartMs } = patience
  const { bucket, endpoint, region, pathStyle, credentials, signedMsAgo } = settings
  const prefix = settings.prefix ? `${settings.prefix}/` : ''
  const clock = { aheadMs: 0, mostMs: apartMs }
  const agents = { keepAlive: true, maxSockets: sockets }
  const client = new S3Client({
    region,
    forcePathStyle: pathStyle,
    ...(endpoint !== undefined && { endpoint }),
    ...(credentials && { credentials }),
    maxAttempts: attempts,
    ...(signedMsAgo !== undefined && { systemClockOffset: -signedMsAgo }),
    // What we have is compared in ways of our own; checksums of the SDK's choice break other stores than AWS.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      httpAgent: new HttpAgent(agents),
      httpsAgent: new HttpsAgent(agents),
      connectionTimeout: connectMs,
      socketTimeout: silenceMs,
    },
  })
  client.middlewareStack.add(
    next => async args => {
      // The bytes are compared by their CRC-32, and hashing them once more to sign them is the dearest part of a request.
      const { headers } = args.request as { headers: Record<string, string> }
      headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD'
      return next(args)
    },
    { step: 'build', name: 'unsignedPayload' },
  )
  client.middlewareStack.add(
    next => async args => {
      const beforeMs = Date.now()
      const result = await next(args)
      const { headers } = result.response as { headers: Record<string, string> }
      const theirsMs = Date.parse(headers.date ?? '')
      if (!Number.isNaN(theirsMs)) clock.aheadMs = aheadMs(beforeMs, theirsMs, Date.now())
      // Not Last-Modified: what is written has none in its answer.
      Object.assign((result.output as { $metadata: object }).$metadata, { date: headers.date })
      return result
    },
    { step: 'deserialize', name: 'date', priority: 'high' },
  )

  let known: Promise<string> | undefined
  return {
    send: client.send.bind(client),
    bucket,
    prefix,
    patience,
    readers: readersOf(mostReaders, silenceMs),
    clock,
    at: key => ({ Bucket: bucket, Key: prefix + key }),
    base: () => {
      known ??= baseOf(client, bucket).catch(error => {
        known = undefined
        throw error
      })
      return known
    },
    async signer() {
      const { credentials, region, systemClockOffset } = client.config
      return { ...(await credentials()), region: await region(), clockOffsetMs: systemClockOffset }
    },
    close: () => client.destroy(),
  }
}

/** Asks the SDK where it would send a request for an object, without sending it. */
async function baseOf(client: S3Client, bucket: string): Promise<string> {
  const key = 'k'
  const command = new GetObjectCommand({ Bucket: bucket, Key: key })
  let base: string | undefined
  command.middlewareStack.add(
    () => async args => {
      const { protocol, hostname, port, path } = args.request as Sent
      base = `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path.slice(0, -key.length)}`
      return { response: undefined, output: { $metadata: {} } }
    },
    { step: 'build', name: 'base', priority: 'low' },
  )
  await client.send(command)
  if (base === undefined) throw new Error('the SDK does not say where it sends requests')
  return base
}

interface Sent {
  readonly protocol: string
  readonly hostname: string
  readonly port?: number
  readonly path: string
}

interface Stack {
  /** What goes through it is the SDK's own. */
  add(middleware: never, options: { step: 'finalizeRequest'; name: string; priority: 'low' }): void
}

/** What became of the attempts at one mutation. */
export interface Attempts {
  /** Of how many nobody knows whether the store did them. */
  doubtful: number
}

/**
 * Sends a mutation so that no attempt of it, however late, goes out after its deadline, or while it cannot be told when that
 * is; and counts those in doubt.
 */
export function fenced<C extends { readonly middlewareStack: Stack }>(
  command: C,
  { deadlineMs }: Pick<MutationOptions, 'deadlineMs'>,
  clock: Requests['clock'],
  attempts: Attempts = { doubtful: 0 },
): C {
  const fence = (next: (args: unknown) => Promise<unknown>) => async (args: unknown) => {
    if (Date.now() > deadlineMs)
      throw new RegistryError('STORAGE_UNAVAILABLE', {
        message: 'the operation took too long and was given up',
      })
    if (Math.abs(clock.aheadMs) > clock.mostMs)
      throw new RegistryError('STORAGE_UNAVAILABLE', {
        message: `the clock of storage is ${apartText(clock.aheadMs)}: set that of this machine by NTP`,
        headers: comeAgain,
      })
    try {
      return await next(args)
    } catch (error) {
      if (mayBeDone(error)) attempts.doubtful++
      throw error
    }
  }
  // Behind the signature, once for each attempt: the store refuses what was signed long ago.
  command.middlewareStack.add(fence as never, { step: 'finalizeRequest', name: 'fence', priority: 'low' })
  return command
}

export function base64Of(crc32: number): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(crc32)
  return bytes.toString('base64')
}

/** When the store did what it answers for, by its own clock. */
export function dateOf(metadata: object): number {
  const date = 'date' in metadata ? Date.parse(String(metadata.date)) : Number.NaN
  return Number.isNaN(date) ? Date.now() : date
}
