import { LRUCache } from 'lru-cache'
import { RegistryError } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'
import type { RepositoryName } from '../oci/names.ts'
import { goneKey, nameOfKey, type Rid, repositoryKey, repositoryPrefix, ridOf } from './layout.ts'
import type { ObjectStore } from './object-store.ts'
import { decodeRecord, encodeRecord, operation } from './record.ts'
import type { Listing, Page } from './registry.ts'

/** The names there are, and what stands for each in keys. */
export interface Repositories {
  /** NAME_UNKNOWN. */
  rid(name: RepositoryName, io: Io): Promise<Rid>
  /** The same, but a repository that is not there is made. */
  ensure(name: RepositoryName, io: Io): Promise<Rid>
  list(page: Page): Promise<Listing<RepositoryName>>
}

/** A repository is deleted so rarely that others may go on seeing it for so long. */
const knownForMs = 10_000

export function repositories(store: ObjectStore, registryId: string): Repositories {
  const known = new LRUCache<RepositoryName, Rid>({ max: 10_000, ttl: knownForMs })

  async function find(name: RepositoryName, io: Io): Promise<Rid | undefined> {
    const cached = known.get(name)
    if (cached !== undefined) return cached
    const record = await store.read(repositoryKey(name), io)
    if (!record) return undefined
    const { rid } = decodeRecord<{ rid: Rid }>(record)
    known.set(name, rid)
    return rid
  }

  return {
    async rid(name, io) {
      const rid = await find(name, io)
      if (rid === undefined) throw new RegistryError('NAME_UNKNOWN', { detail: { name } })
      return rid
    },

    async ensure(name, io) {
      const found = await find(name, io)
      if (found !== undefined) return found
      const gone = await store.read(goneKey(name), io)
      const inc = gone ? decodeRecord<{ inc: number }>(gone).inc : 0
      const rid = ridOf(registryId, name, inc)
      const created = encodeRecord({ rid, inc, created: new Date().toISOString() })
      const written = await store.write(repositoryKey(name), created, {
        ...operation(io),
        condition: { ifAbsent: true },
      })
      if (written) known.set(name, rid)
      return written ? rid : this.rid(name, io)
    },

    async list({ after, limit, signal }) {
      const start = after === undefined ? undefined : repositoryPrefix + after.replaceAll('/', '!')
      const { keys, more } = await store.list(repositoryPrefix, {
        ...(start && { after: start }),
        limit,
        signal,
      })
      return { items: keys.map(nameOfKey), more }
    },
  }
}
