import type { CopyEvent } from '../client/copy.ts'
import { roundSize } from '../server/units.ts'

interface Terminal {
  readonly isTTY?: boolean
  write(text: string): unknown
}

export interface Progress {
  observe(event: CopyEvent): void
  /** Takes the line away. */
  close(): void
}

/** Often enough to be seen moving. */
const redrawMs = 100
const startOfEmptyLine = '\r\u001b[K'

/** One line that tells how far a copy is; nothing for whatever is no terminal. */
export function openProgress(terminal: Terminal): Progress {
  if (!terminal.isTTY) return { observe() {}, close() {} }
  const count = { found: 0, ended: 0, sentBytes: 0 }
  let drawnAtMs = 0
  return {
    observe(event) {
      if (event.kind === 'sent') count.sentBytes += event.bytes
      else count[event.kind]++
      const nowMs = performance.now()
      if (drawnAtMs > 0 && nowMs - drawnAtMs < redrawMs) return
      drawnAtMs = nowMs
      const { found, ended, sentBytes } = count
      terminal.write(`${startOfEmptyLine}${ended} of ${found} blobs, ${roundSize(sentBytes)} sent`)
    },
    close: () => terminal.write(startOfEmptyLine),
  }
}
