import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { configurationPage, pageFile } from '../../docs/configuration.ts'
import { loadSettings } from '../../server/config.ts'

it('is what docs/configuration.md has (npm run docs writes it)', () => {
  expect(readFileSync(pageFile, 'utf8')).toBe(configurationPage())
})

it('shows a file that says what holds without it', () => {
  const cwd = mkdtempSync(join(tmpdir(), 'slipway-docs-'))
  onTestFinished(() => rmSync(cwd, { recursive: true }))
  const { settings } = loadSettings({ cwd, env: {} })
  const [, example = ''] = /```yaml\n([^`]*)```/.exec(configurationPage()) ?? []
  writeFileSync(join(cwd, 'slipway.yaml'), example)
  const shown = loadSettings({ cwd, env: {} })
  expect(shown.settings).toEqual(settings)
  expect(shown.sources.size).toBeGreaterThan(5)
})
