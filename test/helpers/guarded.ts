/** A registry that knows people, and requests in their names. */
import type { AccessState } from '../../auth/state.ts'
import { memoryStore } from '../../storage/memory.ts'
import type { Registry } from '../../storage/registry.ts'
import { basic, bearer, password, setAccess } from './access.ts'
import { type HttpAnswer, type HttpRequest, send } from './http.ts'
import { registryOver } from './local-registry.ts'
import { type RegistryOverrides, startRegistry, type TestRegistry } from './registry.ts'

export interface Guarded extends TestRegistry {
  /** The same store, asked by nobody. */
  readonly registry: Registry
  set(change: Partial<AccessState>): Promise<void>
  send(path: string, request?: HttpRequest): Promise<HttpAnswer>
  /** Asks by password, where `who` is a name, or as nobody. */
  as(who: string | undefined, path: string, request?: HttpRequest): Promise<HttpAnswer>
  /** The header of a token for these scopes. */
  token(who: string | undefined, ...scopes: readonly string[]): Promise<string>
}

export async function guarded(
  state: Partial<AccessState>,
  overrides: RegistryOverrides = {},
): Promise<Guarded> {
  const store = overrides.store ?? memoryStore()
  await setAccess(store, state)
  const server = await startRegistry({ ...overrides, store })
  const { address } = server
  const shown = (who: string | undefined) => (who === undefined ? undefined : basic(who, password))
  const ask = (path: string, request?: HttpRequest) => send(address, path, request)
  return {
    ...server,
    registry: registryOver(store),
    set: change => setAccess(store, change),
    send: ask,
    as: (who, path, request) => ask(path, { ...request, authorization: shown(who) }),
    async token(who, ...scopes) {
      const query = new URLSearchParams(scopes.map(scope => ['scope', scope]))
      const { text, status } = await ask(`/auth/token?${query}`, { authorization: shown(who) })
      if (status !== 200) throw new Error(`no token: ${text}`)
      return bearer((JSON.parse(text) as { token: string }).token)
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}
