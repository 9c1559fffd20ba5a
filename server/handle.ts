/** What lies under a connection, for which Node has no public word. Each of these answers undefined where it is not. */
import type { Socket } from 'node:net'

interface Handle {
  readonly fd?: unknown
  readStart?(): unknown
  readStop?(): unknown
}

interface Parser {
  getCurrentBuffer?(): unknown
}

const handleOf = (socket: Socket) => (socket as { _handle?: Handle | null })._handle ?? undefined

/** The descriptor of a connected TCP or unix socket: every libuv stream handle has one, -1 when closed. */
export function descriptorOf(socket: Socket): number | undefined {
  if ('encrypted' in socket) return undefined
  const fd = handleOf(socket)?.fd
  return typeof fd === 'number' && fd >= 0 ? fd : undefined
}

/** Keeps Node from reading on, until `startReading`. False where it cannot be kept from it. */
export function stopReading(socket: Socket): boolean {
  const handle = handleOf(socket)
  if (typeof handle?.readStop !== 'function' || typeof handle.readStart !== 'function') return false
  handle.readStop()
  return true
}

export function startReading(socket: Socket): void {
  handleOf(socket)?.readStart?.()
}

/** The bytes that Node's HTTP parser is going over while it announces a request; none at any other time. */
export function currentBlock(socket: Socket): Buffer | undefined {
  const block = (socket as { parser?: Parser | null }).parser?.getCurrentBuffer?.()
  return Buffer.isBuffer(block) ? block : undefined
}
