/** What the commands that ask a registry share: who they are to it, and what their operands mean. */
import { dockerCredentials } from '../client/credentials.ts'
import { type RegistryClient, registryClient } from '../client/registry-client.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'
import { dockerFolder } from '../server/config.ts'
import { UsageError } from './usage.ts'

export interface ClientFlags {
  readonly 'plain-http'?: boolean | undefined
  readonly tls?: boolean | undefined
}

export function openRegistry(host: string, flags: ClientFlags): RegistryClient {
  const { 'plain-http': plainHttp = false, tls = false } = flags
  if (plainHttp && tls)
    throw new UsageError(`--tls and --plain-http exclude each other: give ${host} one of them`)
  return registryClient(host, { plainHttp, tls, credentials: dockerCredentials(dockerFolder()) })
}

/** Nothing ends a command early but a signal to its process. */
export const untilDone: Io = { signal: new AbortController().signal }

/** What a word of the command line means. Throws UsageError where its parser refuses it. */
export function operand<T>(text: string, parse: (text: string) => T): T {
  try {
    return parse(text)
  } catch (cause) {
    if (cause instanceof RegistryError) throw new UsageError(cause.message, { cause })
    throw cause
  }
}
