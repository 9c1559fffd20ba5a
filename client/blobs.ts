/** Blobs of one repository, which are never in memory as a whole. */
import type { Io } from '../oci/io.ts'
import type { Digest, RepositoryName } from '../oci/names.ts'
import { ClientError, isMissing } from './client-error.ts'
import type { Answer, Body } from './exchange.ts'
import { addressIn } from './origin.ts'
import { discard, verified } from './reading.ts'
import { repositoryScope, type Scope } from './scopes.ts'
import type { Session } from './session.ts'

export interface BlobName {
  readonly digest: Digest
  readonly size: number
}

export interface BlobSource {
  readonly body: Body
  /** A repository of the same registry that has it. */
  readonly mountFrom?: RepositoryName | undefined
}

export interface BlobClient {
  /** Whether the repository has it. */
  has(digest: Digest, io: Io): Promise<boolean>
  /** Its bytes, which fail at their end, or sooner, unless they are those of the digest. Throws ClientError. */
  open(blob: BlobName, io: Io): Promise<AsyncIterable<Buffer>>
  /** All of a small one. Throws ClientError for one larger than `maxBytes`. */
  read(blob: BlobName, maxBytes: number, io: Io): Promise<Buffer>
  /** Takes it over from another repository of this registry, if it can be had there, or sends it. Throws ClientError. */
  upload(digest: Digest, source: BlobSource, io: Io): Promise<'mounted' | 'sent'>
}

export function blobClient(session: Session, host: string, name: RepositoryName): BlobClient {
  const pull = [repositoryScope(name, 'pull')]
  const push = [repositoryScope(name, 'pull', 'push')]
  const about = (digest: Digest) => ({
    what: `blob ${digest} of ${host}/${name}`,
    to: `/v2/${name}/blobs/${digest}`,
  })
  const uploads = `/v2/${name}/blobs/uploads/`

  async function open({ digest, size }: BlobName, io: Io): Promise<Answer> {
    const { what, to } = about(digest)
    const answer = await session.ask({ what, to, method: 'GET', scopes: pull, expected: [200] }, io)
    const length = answer.headers['content-length']
    if (length === undefined || Number(length) === size) return answer
    answer.body.destroy()
    throw new ClientError(`${what} has ${length} bytes, not ${size}: refused`)
  }

  /** The address of a new upload. */
  async function begin(what: string, to: string, scopes: readonly Scope[], io: Io): Promise<URL> {
    return uploadIn(await session.ask({ what, to, method: 'POST', scopes, expected: [202] }, io))
  }

  /** A registry that cannot mount begins an upload instead. */
  async function mount(digest: Digest, from: RepositoryName, io: Io): Promise<'mounted' | URL | undefined> {
    const { what } = about(digest)
    const to = `${uploads}?mount=${encodeURIComponent(digest)}&from=${encodeURIComponent(from)}`
    const scopes = [...push, repositoryScope(from, 'pull')]
    // Some refuse a mount that they would not make, where another would begin the upload.
    const expected = [201, 202, 400, 401, 403, 404, 405]
    const answer = await session.ask({ what, to, method: 'POST', scopes, expected }, io)
    if (answer.status === 202) return uploadIn(answer)
    await discard(answer)
    return answer.status === 201 ? 'mounted' : undefined
  }

  return {
    async has(digest, io) {
      try {
        await discard(
          await session.ask({ ...about(digest), method: 'HEAD', scopes: pull, expected: [200] }, io),
        )
        return true
      } catch (error) {
        if (isMissing(error)) return false
        throw error
      }
    },
    async open(blob, io) {
      return verified(await open(blob, io), blob)
    },
    async read(blob, maxBytes, io) {
      if (blob.size > maxBytes)
        throw new ClientError(`${about(blob.digest).what} is longer than ${maxBytes} bytes: refused`)
      const chunks: Buffer[] = []
      for await (const chunk of verified(await open(blob, io), blob)) chunks.push(chunk)
      return Buffer.concat(chunks)
    },
    async upload(digest, { body, mountFrom }, io) {
      const begun = mountFrom && (await mount(digest, mountFrom, io))
      if (begun === 'mounted') return begun
      const { what } = about(digest)
      const to = begun ?? (await begin(what, uploads, push, io))
      // Added, not set: what the registry wrote into its address must come back as it is.
      to.search += `${to.search ? '&' : '?'}digest=${encodeURIComponent(digest)}`
      const headers = { 'Content-Type': 'application/octet-stream' }
      const put = { what, to, method: 'PUT', headers, body, scopes: push, expected: [201] } as const
      await discard(await session.ask(put, io))
      return 'sent'
    },
  }
}

async function uploadIn(answer: Answer): Promise<URL> {
  await discard(answer)
  return addressIn(answer.url, answer.headers.location ?? '')
}
