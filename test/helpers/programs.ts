import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** The path of a program that can be run by its name. */
export function findProgram(name: string): string | undefined {
  const candidates = (process.env.PATH ?? '').split(delimiter).map(folder => join(folder, name))
  return candidates.find(path => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** What Node needs to start a program of ours without compiling it again, which is a third of the work of a short command. */
export const compiledOnce = {
  NODE_COMPILE_CACHE: join(import.meta.dirname, '../../node_modules/.cache/slipway-tests'),
}

/** A command that ends with this process, even if this process is killed; as it was where nothing can see to that. */
export function leashed(command: readonly [string, ...string[]]): readonly [string, ...string[]] {
  const setpriv = findProgram('setpriv')
  return setpriv ? [setpriv, '--pdeathsig', 'TERM', ...command] : command
}
