/** The commands that administer a registry, in a folder of a test's own. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type Ended, slipway } from './program.ts'

export interface Administered {
  readonly cwd: string
  readonly data: string
  /** Runs a command; its words are split at spaces, but for what stands in quotes. */
  run(line: string, input?: string): Promise<Ended>
  /** Runs a command that must succeed, and gives what it printed, without the line feed. */
  done(line: string, input?: string): Promise<string>
}

/** With what else they shall find in their environment. */
export function administered(data?: string, env: Readonly<Record<string, string>> = {}): Administered {
  const cwd = mkdtempSync(join(tmpdir(), 'slipway-access-'))
  onTestFinished(() => rmSync(cwd, { recursive: true }))
  const folder = data ?? join(cwd, 'data')
  const run = (line: string, input = '') => {
    const words = [...line.matchAll(/'([^']*)'|[^ ]+/g)].map(([word, quoted]) => quoted ?? word)
    return slipway(words, {
      cwd,
      env: { SLIPWAY_DATA: folder, SLIPWAY_DURABILITY: 'relaxed', ...env },
      input,
    })
  }
  return {
    cwd,
    data: folder,
    run,
    async done(line, input) {
      const { status, stdout, stderr } = await run(line, input)
      if (status !== 0) throw new Error(`${line} ended with ${status}: ${stderr}`)
      return stdout.replace(/\n$/, '')
    },
  }
}

/** Every file and folder below one, itself included, with its mode; of files the bytes too. */
export function treeOf(path: string): readonly { path: string; mode: number; text: string | undefined }[] {
  const below = readdirSync(path, { recursive: true, encoding: 'utf8' }).map(name => join(path, name))
  return [path, ...below].map(each => {
    const stat = statSync(each)
    const text = stat.isFile() ? readFileSync(each, 'latin1') : undefined
    return { path: each, mode: stat.mode & 0o777, text }
  })
}
