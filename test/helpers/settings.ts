import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type LoadedSettings, type LoadOptions, loadSettings, SettingsError } from '../../server/config.ts'

export interface Given extends Pick<LoadOptions, 'env' | 'flags'> {
  /** The text of slipway.yaml. */
  readonly yaml?: string
  /** Other files: path -> text. */
  readonly files?: Readonly<Record<string, string>>
}

/** What settings are where nothing is said, but for the address and the folder. */
export const usualSettings = {
  tls: {},
  insecure: false,
  storage: { s3: { region: 'us-east-1', pathStyle: false, redirect: true } },
  trustedProxies: [],
  workers: 'auto',
  durability: 'full',
  sparse: 'index',
  login: {},
  groups: {},
  access: [],
  protect: [],
  workloads: {},
  tokens: { maxTtlMs: 31_536_000_000, defaultTtlMs: 7_776_000_000 },
  limits: { manifestBytes: 4_194_304, uploadsPerUser: 100, uploadTtlMs: 86_400_000 },
  log: { level: 'info' },
}

/** Loads settings in a folder that has what is given and nothing else, with an environment alike. */
export function load({
  yaml,
  files = {},
  flags = {},
  env = {},
}: Given = {}): LoadedSettings & { cwd: string } {
  const cwd = mkdtempSync(join(tmpdir(), 'slipway-settings-'))
  onTestFinished(() => rmSync(cwd, { recursive: true }))
  const all = yaml === undefined ? files : { ...files, 'slipway.yaml': yaml }
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(join(cwd, dirname(path)), { recursive: true })
    writeFileSync(join(cwd, path), text)
  }
  return { cwd, ...loadSettings({ cwd, env, flags }) }
}

export function faults(given: Given): readonly string[] {
  try {
    load(given)
  } catch (error) {
    if (error instanceof SettingsError) return error.faults
    throw error
  }
  return []
}
