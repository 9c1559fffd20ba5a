/** A server in its own process that knows who may do what, and holds some images. */
import type { AccessState } from '../../auth/state.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { openFolder } from '../../storage/open.ts'
import { apiToken, setAccess, storedRules, storedUser } from './access.ts'
import type { Image } from './images.ts'
import { name } from './principals.ts'
import { pushImage } from './push.ts'
import { startServer, type TestServer } from './server.ts'

export interface ProtectedServer extends TestServer {
  readonly data: string
  /** What it serves, as a command beside it has it. */
  readonly store: ObjectStore
  /** Changes who may do what, as a command does. */
  set(change: Partial<AccessState>): Promise<void>
  /** Gives the robot, which may do what the writer may, a token of its own. */
  robotToken(): Promise<RobotToken>
}

export interface RobotToken {
  readonly text: string
  revoke(): Promise<void>
  expire(): Promise<void>
}

/**
 * `writer` may push to all of it, `reader` pulls what is in `team/`, anybody what is in `public/`; both log in with the
 * password of all tests. What is in `secret/` the reader does not know of.
 */
export async function protectedServer(images: Readonly<Record<string, Image>>): Promise<ProtectedServer> {
  const server = await startServer({ env: { SLIPWAY_DURABILITY: 'relaxed' } })
  const { address, data } = server
  if (data === undefined) throw new Error('a registry that runs already cannot be told who may do what')
  // As long as it knows nobody, everybody may push.
  for (const [repository, image] of Object.entries(images))
    await pushImage({ address, name: repository }, image, '1')
  const { store, close } = await openFolder(data, 'command', { durability: 'relaxed' })
  const set = (change: Partial<AccessState>) => setAccess(store, change)
  await set({
    users: ['writer', 'reader'].map(each => storedUser(each)),
    robots: [{ name: name('ci'), createdMs: 1 }],
    rules: storedRules('push ** writer robot:ci', 'pull team/** reader', 'pull public/** anyone'),
  })
  const tokens = new Map<string, AccessState['tokens'][number]>()
  const keep = (token: AccessState['tokens'][number]) => {
    tokens.set(token.id, token)
    return set({ tokens: [...tokens.values()] })
  }
  return {
    ...server,
    data,
    store,
    set,
    async robotToken() {
      const { text, stored } = apiToken('robot:ci')
      await keep(stored)
      return {
        text,
        revoke: () => keep({ ...stored, revokedMs: Date.now() }),
        expire: () => keep({ ...stored, expiresMs: Date.now() - 1 }),
      }
    },
    async [Symbol.asyncDispose]() {
      await close()
      await server[Symbol.asyncDispose]()
    },
  }
}
