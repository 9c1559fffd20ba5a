import { readFileSync } from 'node:fs'

/** The version of this program, from package.json. */
export function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  // Our own file, in which npm demands a version.
  return (JSON.parse(text) as { version: string }).version
}
