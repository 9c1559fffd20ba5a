/** One of the processes that serve. Its parent (family.ts) says with what, and when to stop. */
import { flushCompileCache } from 'node:module'
import { isDeepStrictEqual } from 'node:util'
import { fileReceiver } from '../kernel/receiver.ts'
import { type FileSender, startFileSender } from '../kernel/sender.ts'
import type { Guarantees } from '../storage/bucket.ts'
import { joinPlace } from '../storage/place.ts'
import type { Certificate } from './certificate.ts'
import type { Settings } from './config.ts'
import { givenAccess } from './given-access.ts'
import { startServer } from './main.ts'
import type { NamedFiles } from './named-files.ts'
import { jsonLog } from './observe.ts'
import { placeOf } from './storage-place.ts'

/** What a worker goes by. */
export interface Given {
  readonly settings: Settings
  readonly files: NamedFiles
  /** What the bucket was found to do. */
  readonly guarantees?: Guarantees | undefined
}

export type FromParent =
  | ({ readonly kind: 'settings' } & Given)
  | { readonly kind: 'stop'; readonly boundMs: number }
  | { readonly kind: 'stop at once' }

export type FromWorker =
  | { readonly kind: 'listening'; readonly addresses: readonly string[] }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'stopping'; readonly underWay: number }
  | { readonly kind: 'stopped'; readonly unfinished: number }

const tell = (message: FromWorker) => new Promise<void>(resolve => process.send?.(message, () => resolve()))

/** How long after its start a worker gives back what only the start needed. */
const settledMs = 1000

/**
 * Reading a few hundred modules leaves half of the heap empty, and V8 keeps that until it grows: 7 to 10 MB of each
 * worker. To collect it stops everything for some 50 ms, so it waits for a moment when nobody asks.
 */
function collectGarbage(isIdle: () => boolean): void {
  setTimeout(() => {
    if (isIdle()) void globalThis.gc?.({ type: 'major', flavor: 'last-resort', execution: 'async' })
    else collectGarbage(isIdle)
  }, settledMs).unref()
}

async function run(first: Given): Promise<void> {
  let given = first
  const log = jsonLog(first.settings.log.level)
  const { observe } = log
  // Before it serves there is nothing to finish.
  let stop = async (): Promise<void> => process.exit(0)
  let renew = (_certificate: Certificate): void => {}
  const late = new AbortController()
  process.on('message', (message: FromParent) => {
    if (message.kind === 'settings') {
      const { certificate: before } = given.files
      given = message
      log.setLevel(given.settings.log.level)
      const { certificate } = given.files
      if (certificate && !isDeepStrictEqual(certificate, before)) renew(certificate)
      return
    }
    if (message.kind === 'stop at once') return late.abort()
    setTimeout(() => late.abort(), message.boundMs).unref()
    stop().catch(error => observe({ event: 'job failed', job: 'stop', error }))
  })

  const { store, format, close } = await joinPlace(placeOf(first.settings, first.files), first.guarantees)
  let sender: FileSender | undefined
  // Nobody waits for it: without it files are sent in another way.
  const starting = startFileSender(cause => observe({ event: 'sendfile lost', error: cause })).then(
    started => {
      if ('missing' in started) observe({ event: 'sendfile missing', reason: started.missing })
      else sender = started.sender
    },
  )
  const receiver = fileReceiver(cause => observe({ event: 'receiver lost', error: cause }))
  const server = await startServer({
    store,
    registryId: format.id,
    settings: () => given.settings,
    observe,
    sender: () => sender,
    // It needs what the sender needs.
    receiver: () => sender && receiver,
    certificate: given.files.certificate,
    ...givenAccess(() => given),
  })
  renew = server.renew
  // It may have been renewed meanwhile.
  if (given.files.certificate) renew(given.files.certificate)
  stop = async () => {
    await tell({ kind: 'stopping', underWay: server.underWay() })
    const unfinished = await server.stop(late.signal)
    await tell({ kind: 'stopped', unfinished })
    await starting
    await sender?.close()
    await receiver.close()
    await close()
    await log.flush()
    process.disconnect?.()
  }
  await tell({ kind: 'listening', addresses: server.addresses })
  flushCompileCache()
  collectGarbage(() => server.underWay() === 0)
}

// A terminal's Ctrl-C reaches the whole family; its parent decides what that means.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})

process.once('message', (message: FromParent) => {
  if (message.kind !== 'settings') return process.exit(0)
  run(message).catch(async error => {
    await tell({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
    process.exit(1)
  })
})
