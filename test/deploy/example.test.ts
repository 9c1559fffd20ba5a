import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { loadSettings, settingList } from '../../server/config.ts'

const example = readFileSync(new URL('../../deploy/slipway.example.yaml', import.meta.url), 'utf8')
const settings = example.match(/(?<=^# )[a-z]+: .+$/gm) ?? []

function load(text: string) {
  const cwd = mkdtempSync(join(tmpdir(), 'slipway-deploy-'))
  onTestFinished(() => rmSync(cwd, { recursive: true }))
  writeFileSync(join(cwd, 'slipway.yaml'), text)
  return loadSettings({ cwd, env: {} })
}

it('changes nothing as it stands', () => {
  expect(load(example).sources.size).toBe(0)
})

it.for(settings)('stays valid with the line %s', line => {
  expect(load(example.replace(`# ${line}`, line)).sources.size).toBeGreaterThan(0)
})

it('has every setting there is', () => {
  const { sources } = load(settings.join('\n'))

  expect([...sources.keys()].sort()).toEqual(settingList.map(({ name }) => name).sort())
})
