import { rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { codeOf } from '../oci/errors.ts'
import { durableFolders, file, ifThere } from './durable.ts'
import { type FolderOptions, folderStore } from './folder.ts'
import { inspectFolder, readFormat, writeFormat } from './folder-format.ts'
import { probeFolder } from './folder-probe.ts'
import { folderRecords } from './folder-records.ts'
import type { Format } from './format.ts'
import type { ObjectStore } from './object-store.ts'
import { claimFolder, connectToOwner, type Hello, type Lender } from './owner.ts'
import { ownerClient } from './owner-client.ts'
import { type LocalReferee, localReferee, type Referee } from './referee.ts'
import { type Claim, steadyClaim } from './steady-referee.ts'
import { walOwner } from './wal-owner.ts'
import { walView } from './wal-view.ts'
import { walWriter } from './wal-writer.ts'

export interface OpenStore {
  readonly store: ObjectStore
  readonly format: Format
  /** Of the owner of a folder: what is wrong with its log, if anything is. */
  logFault?(): unknown
  /** Closes the store and gives the folder up. */
  close(): Promise<void>
}

/** How long a server waits for a command that owns the folder to end, and a command for an owner that is leaving. */
const patienceMs = 10_000
const pauseMs = 50

const pause = () => new Promise(wake => setTimeout(wake, pauseMs))

/** What this process is to other processes, should it become the owner. */
interface Candidate {
  readonly root: string
  readonly folderFd: number
  readonly local: Referee
  readonly lender: Lender
  readonly role: Hello['role']
}

async function claim({ root, folderFd, local, lender, role }: Candidate): Promise<Claim> {
  const giveUpAt = Date.now() + patienceMs
  for (;;) {
    const socket = await connectToOwner(folderFd)
    if (!socket) {
      const hello = { pid: process.pid, role }
      const owner = await claimFolder(root, folderFd, { referee: local, lender, hello })
      if (owner) return { referee: local, release: () => owner.close() }
      if (Date.now() > giveUpAt) throw new Error(`data folder ${root} is being opened by another process`)
      await pause()
      continue
    }
    const client = ownerClient(socket)
    // It may be giving the folder up right now.
    const owner = await client.hello().catch(() => undefined)
    if (owner && role === 'command') return { referee: client, release: () => client.close() }
    await client.close()
    if ((owner?.role === 'server' && role === 'server') || Date.now() > giveUpAt)
      throw new Error(
        `data folder ${root} is in use by process ${owner?.pid ?? 'that is ending'}: stop that server, or name another folder with --data`,
      )
    await pause()
  }
}

/** Who owns what is written. Throws, naming the remedy, where the file system cannot keep the store's promises. */
async function demandFileSystem(root: string): Promise<number> {
  const { uid, fault } = await probeFolder(join(root, 'tmp'))
  if (fault) throw new Error(`the file system of ${root} ${fault}: name a folder on another one with --data`)
  return uid
}

/** What a command of another user writes, such as root's, the server could not read. */
async function refuseStranger(root: string, uid: number): Promise<void> {
  const format = await ifThere(file.stat(join(root, 'format.json')))
  if (format === undefined || format.uid === uid) return
  throw new Error(
    `data folder ${root} belongs to user ${format.uid}: run this as that user, not as user ${uid}`,
  )
}

/** What a process that died was writing: nobody has been told of it. */
async function sweep(root: string): Promise<void> {
  for (const { name } of await file.readdir(join(root, 'tmp')))
    await rm(join(root, 'tmp', name), { recursive: true, force: true }).catch(error => {
      // Something came into it meanwhile: it is of a command that is alive.
      if (codeOf(error) !== 'ENOTEMPTY') throw error
    })
}

/**
 * Opens a folder as the one server of it, or as a command beside one. Makes the folder if there is none. Throws with a
 * remedy when it is somebody else's: another server's, a newer version's, or no store at all.
 */
export async function openFolder(
  path: string,
  role: Hello['role'],
  { durability }: Pick<FolderOptions, 'durability'>,
): Promise<OpenStore> {
  const root = resolve(path)
  const { state, reason } = await inspectFolder(root)
  if (reason !== undefined) throw new Error(reason)
  const synced = durability === 'full'
  if (state === 'absent') await durableFolders('/', synced).ensure(root)
  const folders = durableFolders(root, synced)
  await folders.ensure(join(root, 'tmp'))
  const folderFd = await file.open(root, 'r', 0)
  const records = folderRecords(root, folders, synced)
  try {
    const uid = await demandFileSystem(root)
    if (role === 'command') await refuseStranger(root, uid)
    const isDeciding = (key: string) => local.isDeciding(key)
    const wal = walOwner(root, records, { synced, folders, isDeciding })
    const local: LocalReferee = localReferee(wal.decisions.records, wal.decisions.over)
    const lender: Lender = {
      ...wal,
      async begin() {
        if (role === 'server') await sweep(root)
        await wal.begin()
      },
    }
    const ask = () => claim({ root, folderFd, local, lender, role })
    const { referee, release } = await (role === 'command' ? steadyClaim(ask) : ask())
    try {
      if (state !== 'registry') await writeFormat(records)
      const format = await readFormat(root, records)
      const store = folderStore(root, { durability, referee, wal: { view: walView(root) } })
      return {
        store,
        format,
        logFault: wal.fault,
        async close() {
          await store.close()
          await release()
          records.close()
          folders.close()
          await file.close(folderFd)
        },
      }
    } catch (error) {
      await release()
      throw error
    }
  } catch (error) {
    records.close()
    folders.close()
    await file.close(folderFd)
    throw error
  }
}

/** Opens a folder that a server, this process's parent, owns. */
export async function joinFolder(
  path: string,
  { durability }: Pick<FolderOptions, 'durability'>,
): Promise<OpenStore> {
  const root = resolve(path)
  const folderFd = await file.open(root, 'r', 0)
  const socket = await connectToOwner(folderFd).finally(() => file.close(folderFd))
  if (!socket) throw new Error(`nobody owns the data folder ${root}`)
  const referee = ownerClient(socket)
  const format = await readFormat(root, folderRecords(root, durableFolders(root, false), false))
  const writer = walWriter(root, { synced: durability === 'full', lease: referee.lease })
  const store = folderStore(root, { durability, referee, wal: { view: walView(root), writer } })
  return { store, format, close: () => store.close() }
}
