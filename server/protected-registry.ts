/**
 * The registry as protections leave it: they bind everybody, whatever way a change comes by (auth-security 2.2). Every
 * method is written down here, so that a new one cannot pass by.
 */
import type { Policy } from '../auth/policy.ts'
import type { Change, Protection } from '../auth/protections.ts'
import { RegistryError } from '../oci/errors.ts'
import { isDigest, type RepositoryName, type Tag } from '../oci/names.ts'
import type { Pusher, Registry, TagAuthor, TagChange } from '../storage/registry.ts'

export class Protected extends RegistryError {
  /** Its line. */
  readonly protection: string

  constructor({ text }: Protection, what: { readonly name: RepositoryName; readonly tag?: Tag }) {
    super('DENIED', {
      message: `refused by the protection "${text}", which binds everybody`,
      detail: { ...what, protection: text },
    })
    this.protection = text
  }
}

/** `policy` is asked for at each change: while a body comes, somebody may have added a protection. */
export function protectedRegistry(registry: Registry, policy: () => Policy): Registry {
  const { blobs, uploads, manifests } = registry

  /** Throws DENIED: no other token can change it. */
  function refuse(change: Change, name: RepositoryName): void {
    const protection = policy().protectionAgainst(change, name)
    if (protection) throw new Protected(protection, { name, ...('tag' in change && { tag: change.tag }) })
  }

  const guarded = <Author extends TagAuthor>(name: RepositoryName, author: Author): Author => {
    // Without a guard nothing has to be looked up before it is changed.
    if (!policy().isProtected(name)) return author
    const guard = (change: TagChange) => {
      const kind = kindOf(change)
      if (kind) refuse({ kind, tag: change.tag }, name)
      author.guard?.(change)
    }
    return { ...author, guard }
  }

  const publishing = (pusher: Pusher): Pusher => ({
    ...pusher,
    guard: async io => {
      await pusher.guard?.(io)
      refuse({ kind: 'write' }, pusher.name)
    },
  })

  return {
    blobs: {
      stat: blobs.stat,
      find: blobs.find,
      holders: blobs.holders,
      async mount(from, to, digest, io) {
        refuse({ kind: 'write' }, to)
        return blobs.mount(from, to, digest, io)
      },
      async remove(name, digest, io) {
        refuse({ kind: 'delete-blob' }, name)
        return blobs.remove(name, digest, io)
      },
    },
    uploads: {
      async start(pusher, algorithm, io) {
        refuse({ kind: 'write' }, pusher.name)
        return uploads.start(pusher, algorithm, io)
      },
      find: uploads.find,
      async append(pusher, address, body, io) {
        refuse({ kind: 'write' }, pusher.name)
        return uploads.append(pusher, address, body, io)
      },
      async finish(pusher, address, digest, body, io) {
        refuse({ kind: 'write' }, pusher.name)
        return uploads.finish(publishing(pusher), address, digest, body, io)
      },
      async receive(pusher, digest, body, io) {
        refuse({ kind: 'write' }, pusher.name)
        return uploads.receive(publishing(pusher), digest, body, io)
      },
      cancel: uploads.cancel,
      purge: uploads.purge,
    },
    manifests: {
      read: manifests.read,
      async write(name, reference, push, io) {
        refuse({ kind: 'write' }, name)
        return manifests.write(name, reference, guarded(name, push), io)
      },
      async remove(name, reference, author, io) {
        if (isDigest(reference)) refuse({ kind: 'delete-manifest' }, name)
        return manifests.remove(name, reference, guarded(name, author), io)
      },
      referrers: manifests.referrers,
      tags: manifests.tags,
    },
    repositories: registry.repositories,
    check: registry.check,
  }
}

/** A tag that is pointed to what it points to already stays what it is. */
function kindOf({ from, to }: TagChange) {
  if (from === undefined) return to === undefined ? undefined : 'create-tag'
  if (to === undefined) return 'delete-tag'
  return from === to ? undefined : 'move-tag'
}
