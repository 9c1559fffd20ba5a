/**
 * Memory in which the parts of uploads are gathered: so much, however many uploads there are. Most of it is buffers of a
 * whole part each. As much as one of those is cut up, and every upload begins in such a piece: so what is small waits for
 * nobody that sends much. Of either kind, who has as many as are left gets no more: so however many uploads one owner has
 * that do not end, there is one left for who has none.
 */
import { RegistryError } from '../oci/errors.ts'

export interface PartBuffers {
  /** Of a part. */
  readonly bytes: number
  /** One for so many bytes, a piece where they fit that. Waits until there is one, or throws STORAGE_UNAVAILABLE. */
  take(owner: string, least: number, signal: AbortSignal): Promise<Buffer>
  /** One for a part, if that makes nobody wait. */
  tryTake(owner: string): Buffer | undefined
  /** `used`: how much of it was written to, all of it where nothing is said. */
  give(buffer: Buffer, used?: number): void
}

export interface PartMemory {
  /** Of a part. */
  readonly bytes: number
  /** Buffers of a part, beside the one that is cut up. */
  readonly most: number
  /** How long to wait for one. */
  readonly patienceMs?: number
}

/** Of the 16 MiB of a part, 64 KiB each: more than configs and signatures have, and copied for larger ones in no time. */
const pieces = 256
/** Proxies and clients that see nothing move for a minute give up; until then a full buffer has long gone to the store. */
const usualPatienceMs = 30_000
/** Kept when nobody needs them; and all that were hardly used, as only that much of them takes memory. */
const keptBuffers = 4
const hardlyBytes = 1024 * 1024

export function partBuffers({ bytes, most, patienceMs = usualPatienceMs }: PartMemory): PartBuffers {
  const pieceBytes = Math.floor(bytes / pieces)
  let cutUp: Buffer | undefined
  const freePieces: Buffer[] = []
  const freeWhole: Buffer[] = []
  const wellUsed = new WeakSet<Buffer>()
  const owners = new Map<Buffer, string>()
  const small = shares(pieces, patienceMs)
  const whole = shares(most, patienceMs)

  function cut(): Buffer | undefined {
    if (cutUp) return undefined
    cutUp = Buffer.allocUnsafeSlow(bytes)
    for (let at = 0; at < pieces; at++)
      freePieces.push(cutUp.subarray(at * pieceBytes, (at + 1) * pieceBytes))
    return freePieces.pop()
  }

  function handed(owner: string, isSmall: boolean): Buffer {
    const found = isSmall ? (freePieces.pop() ?? cut()) : freeWhole.pop()
    // Memory that is not touched is not there: a short body takes little of it.
    const buffer = found ?? Buffer.allocUnsafeSlow(bytes)
    owners.set(buffer, owner)
    return buffer
  }

  return {
    bytes,
    async take(owner, least, signal) {
      const isSmall = least <= pieceBytes
      await (isSmall ? small : whole).take(owner, signal)
      return handed(owner, isSmall)
    },
    tryTake: owner => (whole.tryTake(owner) ? handed(owner, false) : undefined),
    give(buffer, used = bytes) {
      const owner = owners.get(buffer) ?? ''
      owners.delete(buffer)
      if (buffer.length < bytes) {
        freePieces.push(buffer)
        return small.give(owner)
      }
      if (used > hardlyBytes) wellUsed.add(buffer)
      const kept = freeWhole.filter(each => wellUsed.has(each)).length
      if (!wellUsed.has(buffer) || kept < keptBuffers) freeWhole.push(buffer)
      whole.give(owner)
    },
  }
}

interface Waiting {
  readonly owner: string
  served(): void
}

/** So many of one kind, and who has how many of them. */
function shares(most: number, patienceMs: number) {
  const held = new Map<string, number>()
  const waiting: Waiting[] = []
  let left = most

  const mayHave = (owner: string) => (held.get(owner) ?? 0) < left

  function count(owner: string, more: number): void {
    left -= more
    const now = (held.get(owner) ?? 0) + more
    if (now === 0) held.delete(owner)
    else held.set(owner, now)
  }

  /** Takes it from nobody who waits: those may have none as things are. */
  function tryTake(owner: string): boolean {
    if (!mayHave(owner)) return false
    count(owner, 1)
    return true
  }

  function serve(): void {
    for (;;) {
      const at = waiting.findIndex(({ owner }) => mayHave(owner))
      const [first] = at < 0 ? [] : waiting.splice(at, 1)
      if (!first) return
      count(first.owner, 1)
      first.served()
    }
  }

  return {
    tryTake,

    take(owner: string, signal: AbortSignal): Promise<void> {
      return new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason)
        if (tryTake(owner)) return resolve()
        const settled = () => {
          clearTimeout(timer)
          signal.removeEventListener('abort', leave)
        }
        const served = () => {
          settled()
          resolve()
        }
        const me = { owner, served }
        const giveUp = (reason: unknown) => {
          settled()
          waiting.splice(waiting.indexOf(me), 1)
          reject(reason)
        }
        const leave = () => giveUp(signal.reason)
        const timer = setTimeout(() => giveUp(crowded()), patienceMs)
        signal.addEventListener('abort', leave, { once: true })
        waiting.push(me)
      })
    },

    give(owner: string): void {
      count(owner, -1)
      serve()
    },
  }
}

const crowded = () =>
  new RegistryError('STORAGE_UNAVAILABLE', {
    message: 'more is being uploaded than there is memory for',
    headers: { 'Retry-After': '5' },
  })
