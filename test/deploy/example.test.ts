import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parsePrincipalName } from '../../auth/access.ts'
import { policyOf } from '../../auth/policy.ts'
import { parseRepositoryName } from '../../oci/names.ts'
import { accessOf } from '../../server/access-settings.ts'
import { loadSettings, settingList } from '../../server/config.ts'
import { placeOf } from '../../server/storage-place.ts'

const example = readFileSync(new URL('../../deploy/slipway.example.yaml', import.meta.url), 'utf8')
const settings = example.match(/(?<=^# )[a-z_]+: .+$/gm) ?? []

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
  // It stands for the file that the example names instead.
  const all = settingList.map(({ name }) => name).filter(name => name !== 'storage.s3.secret_access_key')

  expect([...sources.keys()].sort()).toEqual(all.sort())
})

describe('the example of access', () => {
  const access = readFileSync(new URL('../../deploy/access.example.yaml', import.meta.url), 'utf8')
  const name = parseRepositoryName('team/app')
  const bob = parsePrincipalName('bob')
  const people = [{ kind: 'anonymous' }, { kind: 'user', name: bob ?? raise(), groups: [] }] as const

  it('lets anyone pull and users push, in three lines', () => {
    const { settings, warnings } = load(access.split('\n').slice(0, 3).join('\n'))
    expect(warnings).toEqual([])
    const policy = policyOf({ ...accessOf(settings), now: Date.now })
    expect(people.map(who => policy.level(who, name))).toEqual(['pull', 'push'])
    expect(load(access).settings).toEqual({ ...settings, data: expect.any(String) })
  })

  it('is as good with all that it has for a team', () => {
    const [, more = ''] = access.split(/^# Users.*$/m)
    const yaml = more.replaceAll(/^# ([a-z]+:.*| {2}.*)$/gm, '$1')
    const { settings, warnings, sources } = load(yaml)
    expect(warnings).toEqual([])
    expect([...sources.keys()]).toEqual(['login.htpasswd', 'groups', 'access', 'protect', 'workloads'])
    const policy = policyOf({ ...accessOf(settings), now: Date.now })
    expect(people.map(who => policy.level(who, name))).toEqual([undefined, 'pull'])
  })
})

describe.for([
  ['slipway.service', /^(#?)Environment=(\w+)=(.+)$/gm, /^ExecStart=\S+ \S+ (.+)$/m],
  ['Dockerfile', /^(#?) *(?:ENV|.* -e) (SLIPWAY_\w+)=(\S+)/gm, /^CMD \["node", "cli\/slipway.js", (.+)\]$/m],
] as const)('%s', ([name, variables, start]) => {
  const text = readFileSync(new URL(`../../deploy/${name}`, import.meta.url), 'utf8')
  const found = [...text.matchAll(variables)]
  const env = (isComment: boolean) =>
    Object.fromEntries(
      found.flatMap(([, mark, variable, value]) =>
        isComment || mark === '' ? [[variable ?? '', value ?? '']] : [],
      ),
    )

  it('serves a folder, and the bucket that somebody names', () => {
    expect(start.exec(text)?.[1]?.replaceAll('"', '')).toBe('serve')
    const at = (given: Record<string, string>) => placeOf(loadSettings({ cwd: '/', env: given }).settings, {})
    expect(at(env(false))).toMatchObject({ kind: 'folder', path: expect.stringMatching(/^\/(var|data)/) })
    expect(at(env(true))).toMatchObject({
      kind: 'bucket',
      settings: { bucket: 'images', prefix: 'registry' },
    })
  })
})

function raise(): never {
  throw new Error('bob is a name')
}
