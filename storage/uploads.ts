import { hash } from 'node:crypto'
import { isFault, RegistryError, unlessFault } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'
import { type Algorithm, algorithmOf, type Digest, hexOf } from '../oci/names.ts'
import type { Blobs } from './blobs.ts'
import { madeMs } from './content-id.ts'
import type { Appended, AppendOptions, Incoming, ObjectStore, Upload } from './object-store.ts'
import { graceMs } from './record.ts'
import type { Pusher, UploadBody, UploadStore } from './registry.ts'
import type { Repositories } from './repositories.ts'
import { type SealedUpload, uploadSeal } from './seal.ts'
import { isInline, uploadCommits } from './upload-commits.ts'
import { uploadDigests, type Watch } from './upload-digests.ts'

export interface UploadLimits {
  /** How many uploads an owner may have at once. */
  readonly perOwner: number
  /** How long an upload may lie idle before it is removed, in ms. */
  readonly ttlMs: number
}

type Sized = Pick<Appended, 'upload' | 'size'>
type Base = Sized & Pick<AppendOptions, 'replaces'>

/** An owner at the limit loses uploads that have been idle for so long: they were most likely abandoned. */
const abandonedMs = 3600_000

export function uploads(
  store: ObjectStore,
  names: Repositories,
  blobs: Blobs,
  limits: () => UploadLimits,
): UploadStore {
  const seal = uploadSeal(store)
  const digests = uploadDigests()
  const commits = uploadCommits(store, names, blobs, digests)
  const contextOf = ({ name, owner }: Pusher) => `${name} ${owner}`

  /** Counted when an upload gets its first byte: one that holds nothing costs nothing. */
  async function makeRoom(owner: string, io: Io): Promise<void> {
    const mine = await store.uploads(owner, io)
    const { perOwner } = limits()
    if (mine.length < perOwner) return
    if ((await abortIdle(mine, abandonedMs, io)) > mine.length - perOwner) return
    throw new RegistryError('TOO_MANY_REQUESTS', {
      message: `${perOwner} uploads are unfinished: finish or cancel one (limits.uploads_per_user)`,
      headers: { 'Retry-After': '60' },
    })
  }

  /** Removes those that got no byte for so long, and says how many. */
  async function abortIdle(candidates: readonly Upload[], idleMs: number, io: Io): Promise<number> {
    let aborted = 0
    for (const upload of candidates) {
      const found = await store.uploaded(upload, io).catch(unlessFault('UPLOAD_UNKNOWN'))
      if (found && Date.now() - found.modifiedMs <= idleMs) continue
      await store.abort(upload, io)
      aborted++
    }
    return aborted
  }

  /** One that was never begun can be for as long as what is gone is remembered. */
  function refuseLate({ id }: Upload): void {
    if (Date.now() - madeMs(id) > Math.min(limits().ttlMs, graceMs)) throw new RegistryError('UPLOAD_UNKNOWN')
  }

  /** An upload as it stands. */
  async function standing({ upload, size }: SealedUpload, io: Io): Promise<Appended> {
    const found = await store.uploaded(upload, io)
    if (found) return { upload, ...found }
    if (size > 0) throw new RegistryError('UPLOAD_UNKNOWN')
    refuseLate(upload)
    return { upload, size }
  }

  /**
   * What a body is added to. Where several processes serve one upload its address says it: what one of them has of a request that
   * broke off another does not know, and a client that goes on from what it was told is right as well.
   */
  async function baseOf(sealed: SealedUpload, { offset, length }: UploadBody, io: Io): Promise<Base> {
    const { upload, size } = sealed
    if (!store.remote || (offset === undefined ? length === 0 : offset !== size)) return standing(sealed, io)
    if (size === 0) refuseLate(upload)
    return { upload, size, replaces: true }
  }

  /** The upload behind an address as it stands, which may be past what the address says. */
  async function locate(pusher: Pusher, address: string, io: Io) {
    const sealed = await seal.open(contextOf(pusher), address, io)
    return { sealed, now: await standing(sealed, io) }
  }

  function digestAt({ upload, size }: Sized): SealedUpload['digest'] {
    const digest = digests.find(upload, size)
    return digest && { algorithm: algorithmOf(digest), hex: hexOf(digest) }
  }

  async function sessionOf(pusher: Pusher, { upload, size }: Sized, algorithm: Algorithm, io: Io) {
    // That of no bytes says by what those will be hashed that come.
    const digest = size === 0 ? { algorithm, hex: hash(algorithm, '') } : digestAt({ upload, size })
    return {
      address: await seal.close(contextOf(pusher), { upload, size, digest, run: store.run }, io),
      size,
    }
  }

  /** What did not fit would only keep the disk full. */
  async function abandonIfFull(upload: Upload, error: unknown, io: Io): Promise<never> {
    if (isFault(error, 'STORAGE_FULL')) await store.abort(upload, io)
    throw error
  }

  /** Adds a body to an upload behind its first `size` bytes. */
  async function extend(
    { upload, size, ...how }: Base & Pick<AppendOptions, 'isLast'>,
    body: UploadBody,
    algorithm: Algorithm,
    io: Io,
  ): Promise<Appended> {
    if (body.offset !== undefined && body.offset !== size) throw new RegistryError('UPLOAD_OUT_OF_ORDER')
    if (body.length === 0) return { upload, size }
    await store.reserve(body.length ?? 0, io)
    const watch = digests.watch(upload, size, algorithm)
    const admit = () => makeRoom(upload.owner, io)
    const options = { ...how, offset: size, witness: watch, signal: io.signal, admit }
    const appended = await store
      .append(upload, incoming(body, watch), options)
      .catch(error => abandonIfFull(upload, error, io))
    // What was stored of it is as what is stored of a request that broke off: nobody is told of it.
    if (body.length !== undefined && appended.size - size !== body.length)
      throw new RegistryError('SIZE_INVALID')
    watch.keep(appended.upload, appended.size)
    return appended
  }

  /** What came of the first body stays as it is: no byte of an upload is ever written over. */
  async function receiveAgain(
    pusher: Pusher,
    { upload, size }: SealedUpload,
    digest: Digest,
    body: UploadBody,
    io: Io,
  ) {
    if (size > 0) throw new RegistryError('UPLOAD_OUT_OF_ORDER')
    const blob = await self.receive(pusher, digest, body, io)
    await store.abort(upload, io)
    return blob
  }

  const self: UploadStore = {
    async start(pusher, algorithm, io) {
      await store.reserve(0, io)
      return sessionOf(pusher, { upload: store.begin(pusher.owner), size: 0 }, algorithm, io)
    },

    async find(pusher, address, io) {
      const { sealed, now } = await locate(pusher, address, io)
      return sessionOf(pusher, now, saidAlgorithm(sealed), io)
    },

    async append(pusher, address, body, io) {
      const sealed = await seal.open(contextOf(pusher), address, io)
      const base = await baseOf(sealed, body, io)
      const algorithm = saidAlgorithm(sealed)
      const grown = await extend(base, body, algorithm, io)
      return sessionOf(pusher, grown, algorithm, io)
    },

    async finish(pusher, address, digest, body, io) {
      const sealed = await seal.open(contextOf(pusher), address, io)
      const { upload } = sealed
      try {
        const base = await baseOf(sealed, body, io)
        if (base.size === 0 && !body.offset && isInline(body))
          return await commits.receiveInline(pusher, digest, body, io)
        // A body that does not say where it begins goes behind what was acknowledged: it may be sent for a second time.
        if (body.offset === undefined && body.length !== 0 && sealed.size < base.size)
          return await receiveAgain(pusher, sealed, digest, body, io)
        const grown = await extend({ ...base, isLast: true }, body, algorithmOf(digest), io)
        const said = grown.upload.state === upload.state ? sealed : { ...sealed, digest: undefined }
        const whole = { ...said, upload: grown.upload }
        const blob = await commits.publish(pusher, whole, { digest, size: grown.size }, io)
        digests.forget(grown.upload)
        return blob
      } catch (error) {
        if (isFault(error, 'DIGEST_INVALID')) {
          digests.forget(upload)
          await store.abort(upload, io)
        }
        // The answer to the first request may have been lost on its way: the blob is there, so say so again.
        if (isFault(error, 'UPLOAD_UNKNOWN')) {
          const blob = await blobs.stat(pusher.name, digest, io).catch(() => undefined)
          if (blob) return blob
        }
        throw error
      }
    },

    async receive(pusher, digest, body, io) {
      if (isInline(body)) return commits.receiveInline(pusher, digest, body, io)
      const { address } = await self.start(pusher, algorithmOf(digest), io)
      try {
        return await self.finish(pusher, address, digest, body, io)
      } catch (error) {
        // Nobody knows its address, so nobody will go on with it.
        await self.cancel(pusher, address, { signal: AbortSignal.timeout(10_000) }).catch(() => {})
        throw error
      }
    },

    async cancel(pusher, address, io) {
      const { sealed } = await locate(pusher, address, io)
      digests.forget(sealed.upload)
      await store.abort(sealed.upload, io)
    },

    async purge(io) {
      return abortIdle(await store.uploads(undefined, io), limits().ttlMs, io)
    },
  }
  return self
}

const saidAlgorithm = ({ digest }: SealedUpload): Algorithm => digest?.algorithm ?? 'sha256'

/** A body on its way into the store, with its digest on the way to whoever watches. */
function incoming(body: UploadBody, watch: Watch): Incoming {
  const { move } = body
  return {
    open: body.open,
    move:
      move &&
      (async (fd, io) => {
        const { bytes, digest } = await move(fd, watch.algorithm, io)
        watch.conclude(digest)
        return bytes
      }),
  }
}
