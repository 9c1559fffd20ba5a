import { stat } from 'node:fs/promises'

/** Often enough for people who wait, and nothing beside what a server does. */
const everyMs = 1_000

/**
 * Calls `changed` when one of these files is another than before and all have been left alone for a while: the two files
 * of a pair are seldom replaced in one moment. The first call comes by itself, for what changed while nobody watched yet.
 * It asks by name, so links that are turned to another file count, and so do files on a network.
 */
export function watchFiles(paths: () => readonly string[], changed: () => void): { close(): void } {
  let taken = ''
  let last = ''
  let closed = false
  let timer: NodeJS.Timeout | undefined

  async function look(): Promise<void> {
    const now = (await Promise.all(paths().map(stampOf))).join()
    if (closed) return
    if (now !== taken && now === last) {
      taken = now
      changed()
    }
    last = now
    wait()
  }
  function wait(): void {
    timer = setTimeout(() => void look(), everyMs).unref()
  }

  wait()
  return {
    close() {
      closed = true
      clearTimeout(timer)
    },
  }
}

/** A file that is not there at the moment is one of its own. */
function stampOf(path: string): Promise<string> {
  return stat(path).then(
    ({ dev, ino, size, mtimeMs }) => `${path}:${dev}:${ino}:${size}:${mtimeMs}`,
    () => `${path}:none`,
  )
}
