/** Buffers that are worth keeping: large ones, up to a number that bounds what the process holds on to. */
export interface BufferPool {
  /** A large buffer, or a small one when all the large ones are lent. Its contents are left over from its last use. */
  take(): Buffer
  /** Ends a loan. `reusable` is false when someone may still read from or write to the buffer. */
  giveBack(buffer: Buffer, options: { readonly reusable: boolean }): void
}

export function bufferPool(options: {
  readonly largeBytes: number
  readonly mostLarge: number
  readonly smallBytes: number
}): BufferPool {
  const free: Buffer[] = []
  let lent = 0
  return {
    take() {
      if (lent === options.mostLarge) return Buffer.allocUnsafeSlow(options.smallBytes)
      lent++
      return free.pop() ?? Buffer.allocUnsafeSlow(options.largeBytes)
    },
    giveBack(buffer, { reusable }) {
      if (buffer.length !== options.largeBytes) return
      lent--
      if (reusable) free.push(buffer)
    },
  }
}
