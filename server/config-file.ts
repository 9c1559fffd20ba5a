/** The YAML file of settings: the one place that knows yaml, which is loaded only when there is a file. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { isNativeError } from 'node:util/types'
import { codeOf } from '../oci/errors.ts'

/** What a file says, and on which line it says it. Faults: it could not be read; then it says nothing. */
export interface ConfigFile {
  readonly tree: unknown
  readonly faults: readonly string[]
  /** `slipway.yaml:3` for the nearest thing on this path that the file has. */
  where(path: readonly PropertyKey[]): string
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EACCES: 'this user may not read it',
  EISDIR: 'it is a folder',
}

/** Undefined when the file is absent and need not be there. `name` is how messages call it. */
export function readConfigFile(path: string, name: string, required: boolean): ConfigFile | undefined {
  try {
    return parseConfigFile(readFileSync(path, 'utf8'), name)
  } catch (error) {
    const reason = whyUnreadable(error)
    if (reason === undefined) throw error
    if (!required && codeOf(error) === 'ENOENT') return undefined
    return broken(name, [`${name}: cannot be read: ${reason}`])
  }
}

/** In words, why a file could not be read; undefined when the error is about something else. */
export function whyUnreadable(error: unknown): string | undefined {
  const code = isNativeError(error) && 'syscall' in error ? codeOf(error) : undefined
  return code && (reasons[code] ?? code)
}

function parseConfigFile(text: string, name: string): ConfigFile {
  // Loading a module on demand without waiting for it is what `require` is for; its types are the package's own.
  const yaml = createRequire(import.meta.url)('yaml') as typeof import('yaml')
  const lines = new yaml.LineCounter()
  const at = (offset: number) => `${name}:${lines.linePos(offset).line}`
  const document = yaml.parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' })
  const problems = [...document.errors, ...document.warnings]
  if (problems.length > 0) {
    return broken(
      name,
      problems.map(({ code, message, pos }) =>
        code === 'DUPLICATE_KEY'
          ? `${at(pos[0])}: ${keyAt(text, pos[0])}: stands here for the second time; once is accepted`
          : `${at(pos[0])}: broken YAML: ${message}`,
      ),
    )
  }
  const where = (path: readonly PropertyKey[]): string => {
    if (path.length === 0) return name
    const node = document.getIn(path, true)
    return yaml.isNode(node) && node.range ? at(node.range[0]) : where(path.slice(0, -1))
  }
  try {
    return { tree: document.toJS() ?? {}, faults: [], where }
  } catch (error) {
    // An alias without its anchor, or aliases that multiply without end.
    if (!(error instanceof ReferenceError)) throw error
    return broken(name, [`${name}: broken YAML: ${error.message}`])
  }
}

function broken(name: string, faults: readonly string[]): ConfigFile {
  return { tree: {}, faults, where: () => name }
}

function keyAt(text: string, offset: number): string {
  return /^[^\s:]*/.exec(text.slice(offset, offset + 80))?.[0] ?? ''
}
