/** The parent of the processes that serve: it owns the data folder, starts them, and passes on what it is told. */
import { once } from 'node:events'
import { flushCompileCache } from 'node:module'
import { auditLog } from '../auth/audit-log.ts'
import { journal } from '../storage/journal.ts'
import { type OpenPlace, openPlace } from '../storage/place.ts'
import { type LoadedSettings, SettingsError } from './config.ts'
import { namedPaths } from './named-files.ts'
import { jsonLog, type Log } from './observe.ts'
import { planServe, type ServePlan } from './plan.ts'
import { type Current, reload, reread, tellWarnings, withTerminalLevel } from './reload.ts'
import { removeStaleSocket } from './sockets.ts'
import { placeOf } from './storage-place.ts'
import { keepUp } from './upkeep.ts'
import { readVersion } from './version.ts'
import { watchFiles } from './watched-files.ts'
import { drainMs, type Workers } from './workers.ts'

/** npm passes on a Ctrl-C that the terminal has sent already: within this time two signals are one. */
const sameSignalMs = 500

/** After this time files are taken that could not be written down. */
const againMs = 5_000

/** Serves until it is told to stop. Rejects where it cannot start, with what to do. */
export async function serve(workers: Workers, load: () => LoadedSettings): Promise<void> {
  const { plan, store, format, guarantees, logFault, close } = await open(load).catch(workers.abandon)
  const log = jsonLog(plan.settings.log.level)
  try {
    const { files, warnings } = plan
    let current: Current = { loaded: plan, files, warnings, isLax: store.lax === true }
    tellWarnings(current, log)
    const settings = () => current.loaded.settings
    let changing = Promise.resolve()
    /** One after another: each begins with what the one before it has made. */
    const change = (next: (before: Current) => Current | Promise<Current>) => {
      changing = changing.then(async () => {
        const before = current
        current = await next(before)
        if (current !== before) workers.tellGiven()
      })
    }
    const audit = auditLog({ journal: journal(store), now: Date.now })
    const told = { log, audit }
    const takeFiles = (before: Current): Promise<Current> =>
      reread(before, told).catch(error => {
        log.observe({ event: 'job failed', job: 'audit', error })
        // The files do not change again by themselves.
        setTimeout(() => change(takeFiles), againMs).unref()
        return before
      })
    // Whoever reads that it listens may tell it something at once.
    const hangUp = Promise.withResolvers<string>()
    process.on('SIGHUP', () => {
      // A terminal says so when it is closed; elsewhere it is the word for reading the settings again.
      if (process.stdout.isTTY) return hangUp.resolve('SIGHUP')
      change(before => reload(before, load, told))
    })
    const stopSignal = Promise.race([
      hangUp.promise,
      once(process, 'SIGTERM').then(() => 'SIGTERM'),
      once(process, 'SIGINT').then(() => 'SIGINT'),
    ])
    const given = () => ({ settings: settings(), files: current.files, guarantees })
    const addresses = await workers.begin(plan.workers, given, log)
    announce(plan, addresses, log)
    flushCompileCache()
    const watching = watchFiles(
      () => namedPaths(settings()),
      () => change(takeFiles),
    )
    const upkeep = keepUp({ store, registryId: format.id, settings, logFault, observe: log.observe })
    const signal = await stopSignal
    log.observe({ event: 'stopping', signal })
    watching.close()
    upkeep.stop()
    onSecondSignal(() => workers.stopAtOnce())
    const unfinished = await workers.stop(announceWait)
    log.observe({ event: 'stopped', unfinished })
  } finally {
    await close()
    await log.flush()
  }
}

/** Rejects, before anything was changed, with all that is in the way. */
async function open(load: () => LoadedSettings): Promise<OpenPlace & { readonly plan: ServePlan }> {
  const plan = await planServe(withTerminalLevel(load()))
  const { settings, servedAt } = plan
  const faults = [...plan.faults, ...servedAt.map(({ text }) => text)]
  if (faults.length > 0) throw new SettingsError(faults)
  const opened = await openPlace(placeOf(settings, plan.files), 'server')
  try {
    for (const address of settings.listen) await removeStaleSocket(address)
    return { ...opened, plan }
  } catch (error) {
    await opened.close()
    throw error
  }
}

function onSecondSignal(act: () => void): void {
  const firstMs = Date.now()
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      if (Date.now() - firstMs > sameSignalMs) act()
    })
}

function announceWait(requests: number): void {
  if (requests === 0 || !process.stdout.isTTY) return
  const what = requests === 1 ? '1 request' : `${requests} requests`
  process.stdout.write(`waiting up to ${drainMs / 1000} s for ${what}; again to stop at once\n`)
}

function announce(
  { settings, storage, workers, access }: ServePlan,
  addresses: readonly string[],
  log: Log,
): void {
  const [address = ''] = addresses
  const data = storage.kind === 'bucket' ? storage.name : settings.data
  if (!process.stdout.isTTY) {
    log.observe({ event: 'listening', address, addresses, data, workers })
    void log.flush()
    return
  }
  const host = address.startsWith('http')
    ? new URL(address).host.replace(/^127\.0\.0\.1:/, 'localhost:')
    : 'localhost:5000'
  process.stdout.write(
    `slipway ${readVersion()}\n` +
      `serving   ${addresses.join(', ')}\n` +
      `data      ${data}\n` +
      `access    ${access}\n` +
      `try       docker push ${host}/team/app:1\n`,
  )
}
