import fs from 'node:fs'
import type { Readable } from 'node:stream'
import type { Witness } from './object-store.ts'

/** Gathered before they are written: fewer, larger writes cost a third less CPU; larger still only holds more memory. */
const batchBytes = 256 * 1024

/**
 * Writes all that a source yields to a file from `position` on, and resolves to the position after the last byte.
 * One batch is being written while the next gathers and the witness looks at the first; a source that is faster waits.
 * What came before a source failed is written too. Rejects only when no write is under way any more, so that the
 * descriptor may be closed.
 */
export function receive(source: Readable, fd: number, position: number, witness: Witness): Promise<number> {
  return new Promise((resolve, reject) => {
    let gathered: Buffer[] = []
    let gatheredBytes = 0
    let writing = false
    let ended = false
    let broken = false
    let failure: Error | undefined

    const end = (error?: Error) => {
      if (ended) return
      ended = true
      failure = error
      flush()
    }
    const onEnd = () => end()
    const onClose = () => end(new Error('the sender went away before the end'))
    const onData = (chunk: Buffer) => {
      gathered.push(chunk)
      gatheredBytes += chunk.length
      if (gatheredBytes < batchBytes) return
      flush()
      if (gatheredBytes >= batchBytes) source.pause()
    }

    function finish() {
      source.off('data', onData).off('end', onEnd).off('close', onClose).off('error', end)
      if (!failure) return resolve(position)
      // A source that nobody listens to may still report that it was cut off.
      source.on('error', () => {})
      reject(failure)
    }

    function flush() {
      if (writing) return
      if (broken || (ended && gatheredBytes === 0)) return finish()
      if (gatheredBytes === 0 || (gatheredBytes < batchBytes && !ended)) return
      const batch = gathered
      const length = gatheredBytes
      gathered = []
      gatheredBytes = 0
      writing = true
      write(batch, length, position)
      if (source.isPaused()) source.resume()
      // The kernel copies in a pool thread while this thread hashes.
      for (const chunk of batch) witness.update(chunk)
    }

    function write(batch: readonly Buffer[], length: number, at: number): void {
      fs.writev(fd, batch, at, (error, written) => {
        // A short write means that the disk is nearly full: what is left gets the error that says so.
        if (!error && written > 0 && written < length) {
          position = at + written
          return write([Buffer.concat(batch).subarray(written)], length - written, at + written)
        }
        writing = false
        if (error) {
          broken = true
          failure = error
        } else {
          position = at + length
        }
        flush()
      })
    }

    source.on('data', onData).on('end', onEnd).on('close', onClose).on('error', end)
    if (source.destroyed) onClose()
  })
}
