import { parseHost, parseRepositoryReference } from '../client/image-reference.ts'
import { parseRepositoryName } from '../oci/names.ts'
import type { Outcome } from './command.ts'
import { type ClientFlags, openRegistry, operand, untilDone } from './registries.ts'

interface ListFlags extends ClientFlags {
  readonly json?: boolean | undefined
}

type Print = (text: string) => void

/** `where` is HOST or HOST/PREFIX. */
export async function listRepositories(where: string, flags: ListFlags, print: Print): Promise<Outcome> {
  const { host, prefix } = operand(where, parseWhere)
  const isBelow = (name: string) => prefix === undefined || name === prefix || name.startsWith(`${prefix}/`)
  const pages = openRegistry(host, flags).repositories(untilDone)
  const { found, all: repositories } = await printed(pages, isBelow, flags, print)
  if (flags.json) print(JSON.stringify({ host, repositories }))
  else if (!found)
    reportNothing(`${host} has no repositories${prefix === undefined ? '' : ` below ${prefix}`}`)
  return 'done'
}

/** `where` is HOST/NAME. */
export async function listTags(where: string, flags: ListFlags, print: Print): Promise<Outcome> {
  const { host, name } = operand(where, parseRepositoryReference)
  const pages = openRegistry(host, flags).repository(name).tags(untilDone)
  const { found, all: tags } = await printed(pages, () => true, flags, print)
  if (flags.json) print(JSON.stringify({ host, name, tags }))
  else if (!found) reportNothing(`${host}/${name} has no tags`)
  return 'done'
}

function parseWhere(text: string) {
  const slash = text.indexOf('/')
  const host = parseHost(slash < 0 ? text : text.slice(0, slash))
  const prefix = slash < 0 ? '' : text.slice(slash + 1).replace(/\/$/, '')
  return { host, prefix: prefix === '' ? undefined : parseRepositoryName(prefix) }
}

/** For people: what reads the list sees that it is empty. */
function reportNothing(text: string): void {
  process.stderr.write(`slipway: ${text}\n`)
}

/** Prints names as they come, or collects them for one object. */
async function printed(
  pages: AsyncIterable<readonly string[]>,
  isWanted: (name: string) => boolean,
  { json = false }: ListFlags,
  print: Print,
): Promise<{ readonly found: boolean; readonly all: readonly string[] }> {
  const all: string[] = []
  let found = false
  for await (const page of pages) {
    const wanted = page.filter(isWanted)
    found ||= wanted.length > 0
    if (json) all.push(...wanted)
    else if (wanted.length > 0) print(wanted.join('\n'))
  }
  return { found, all }
}
