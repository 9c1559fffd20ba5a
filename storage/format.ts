/** What wrote a store, and which readers can make sense of it: the record `format.json`. */
export interface Format {
  readonly layout: 1
  readonly id: string
  readonly created: string
  readonly min_reader: number
  readonly features: readonly string[]
}

/** What this program can read. */
const reader = 1

/** The format of a registry that begins. */
export const newFormat = (id: string): Format => ({
  layout: 1,
  id,
  created: new Date().toISOString(),
  min_reader: reader,
  features: [],
})

/** Undefined for what is none. */
export function parseFormat(bytes: Buffer): Format | undefined {
  try {
    const format = JSON.parse(bytes.toString())
    return typeof format?.id === 'string' && Number.isInteger(format.min_reader) ? format : undefined
  } catch {
    return undefined
  }
}

export const isNewer = (format: Format) => format.min_reader > reader
