/** What a bucket must do with requests that we do not make every day: those of clients that are sent to it, and old ones. */
import { codeOf, RegistryError } from '../oci/errors.ts'
import type { Bucket } from './bucket.ts'
import { type Check, no, yes } from './bucket-check.ts'

const text = '0123456789'
const asked = [
  { what: 'all', range: undefined, status: 200, wanted: text },
  { what: 'a range', range: 'bytes=3-6', status: 206, wanted: text.slice(3, 7) },
] as const

export const addressCheck: Check = {
  name: 'address for clients',
  decides: 'redirect',
  async look({ bucket, prefix, options }) {
    const key = `${prefix}address`
    await bucket.put(key, Buffer.from(text), options)
    const address = await bucket.locate(key, options)
    if (address === undefined) return { found: 'none can be made now', ok: true }
    for (const { what, range, status, wanted } of asked) {
      const headers: Record<string, string> = range === undefined ? {} : { Range: range }
      const answer = await fetch(address, { headers, signal: options.signal })
      const sent = await answer.text()
      if (answer.status >= 500) throw new Error(`the store answers ${answer.status}`)
      const isRight = answer.status === status && sent === wanted
      if (!isRight)
        return no(`answers ${answer.status} to who asks for ${what}: set storage.s3.redirect to false`)
    }
    return yes
  },
}

/** Asks by what signs as if it were so long ago: nothing that is late by more can still be done by the store. */
export const ageCheck = (aged: Bucket, minutes: number): Check => ({
  name: `requests signed ${minutes} minutes ago`,
  decides: 'nothing',
  async look({ prefix, options }) {
    const key = `${prefix}aged`
    try {
      await aged.put(key, Buffer.from('1'), options)
    } catch (error) {
      const cause = error instanceof RegistryError ? error.cause : error
      if (!(cause instanceof Error)) throw error
      const { httpStatusCode = 0 } =
        '$metadata' in cause ? (cause.$metadata as { httpStatusCode?: number }) : {}
      if (httpStatusCode >= 400 && httpStatusCode < 500) return yes
      return no(`were not tried (${codeOf(cause) ?? cause.name})`)
    }
    await aged.remove(key, options)
    return no('are accepted')
  },
})
