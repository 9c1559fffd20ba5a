import fs from 'node:fs'

/** Names this run of the system; the pages that it has not written yet are lost with it. */
export function bootId(): string {
  try {
    return fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return String(process.pid)
  }
}
