import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { administered } from '../helpers/administered.ts'

const segment = (data: string) => join(data, 'audit/0000000001')

async function withThreeLines() {
  const registry = administered()
  await registry.done('robot add ci')
  await registry.done("access add 'pull ** robot:ci' --note 'to see'")
  await registry.done('robot add cd')
  return registry
}

it('has an event of each change, and of no look', async () => {
  const { done, run } = administered()
  await done('user add alice --admin')
  await done('user add bob')
  await done('user passwd bob')
  await done('user disable bob')
  await done('user disable bob')
  await done('user enable bob')
  await done('robot add ci')
  const token = (await done('token create --robot ci')).slice(6, 16)
  await done(`token revoke ${token}`)
  const rule = await done("access add 'pull ** robot:ci'")
  await done(`access remove ${rule}`)
  const protection = await done("protect add 'frozen old/**'")
  await done(`protect remove ${protection}`)
  const key = await done('keys rotate')
  await done(`keys revoke ${key}`)
  await done('robot remove ci')
  await done('user remove bob')
  await run('user remove alice')
  await done('access list')
  const events = (await done('audit --json')).split('\n').map(line => JSON.parse(line))
  expect(
    events.map(({ action, target, result, detail = {} }) => [action, target, result, detail.after]),
  ).toEqual([
    ['user.add', 'user:alice', 'done', 'administrator'],
    ['user.add', 'user:bob', 'done', 'user'],
    ['user.change', 'user:bob', 'done', 'another password'],
    ['user.change', 'user:bob', 'done', 'disabled'],
    ['user.change', 'user:bob', 'done', 'enabled'],
    ['robot.add', 'robot:ci', 'done', undefined],
    ['token.create', `token:${token}`, 'done', 'robot:ci'],
    ['token.revoke', `token:${token}`, 'done', undefined],
    ['rule.add', `rule:${rule}`, 'done', 'pull ** robot:ci'],
    ['rule.remove', `rule:${rule}`, 'done', undefined],
    ['protection.add', `protection:${protection}`, 'done', 'frozen old/**'],
    ['protection.remove', `protection:${protection}`, 'done', undefined],
    ['key.rotate', undefined, 'done', undefined],
    ['key.revoke', `key:${key}`, 'done', undefined],
    ['robot.remove', 'robot:ci', 'done', undefined],
    ['user.remove', 'user:bob', 'done', undefined],
  ])
  for (const { actor, via } of events) expect([actor, via]).toEqual([expect.stringMatching(/^cli:.+/), 'cli'])
  expect(events[9].detail.before).toBe('pull ** robot:ci')
}, 60_000)

it('prints what happened since a time', async () => {
  const { done, run } = await withThreeLines()
  const all = (await done('audit')).split('\n')
  expect(all).toHaveLength(3)
  expect(all[1]).toMatch(
    /^\S+Z {2}cli:\S+ {2}cli {2}- {2}rule\.add {2}rule:\S+ {2}done {2}after: pull \*\* robot:ci$/,
  )
  const [at = ''] = (all[2] ?? '').split(' ')
  expect((await done(`audit --since ${at}`)).split('\n')).toEqual(all.slice(2))
  expect((await done('audit --since 1h')).split('\n')).toEqual(all)
  expect(await done('audit --since 2100-01-01')).toBe('')
  expect(await run('audit --since yesterday')).toMatchObject({
    status: 2,
    stderr: 'slipway: --since: expected 24h, 2026-11-21 or 2026-11-21T12:00Z, found "yesterday"\n',
  })
})

describe('audit verify', () => {
  it('ends with 0 where nothing was touched, and prints what to keep', async () => {
    const { done } = await withThreeLines()
    const said = await done('audit verify')
    expect(said).toMatch(/^intact: 3 lines; keep this elsewhere: 3:[0-9a-f]{64}$/)
    const known = said.split(' ').at(-1)
    await done('robot add more')
    expect(await done(`audit verify --known ${known}`)).toMatch(/^intact: 4 lines/)
    expect(JSON.parse(await done('audit verify --json'))).toMatchObject({ intact: true, end: { seq: 4 } })
  })

  it.for<[what: string, spoil: (text: string) => string, place: string]>([
    [
      'changed',
      text => text.replace('robot:ci', 'robot:cx'),
      'audit/0000000001:2: it does not follow the line before it',
    ],
    [
      'removed',
      text => text.replace(/^.*\n/, ''),
      'audit/0000000001:1: it does not follow the line before it',
    ],
    ['cut', text => text.slice(0, -20), 'audit/0000000001:3: it is no line of an audit'],
  ])('ends with 3 and the place where a line was %s', async ([, spoil, place]) => {
    const { data, run } = await withThreeLines()
    writeFileSync(segment(data), spoil(readFileSync(segment(data), 'utf8')))
    expect(await run('audit verify')).toEqual({ status: 3, stdout: `broken at ${place}\n`, stderr: '' })
    const { status, stdout } = await run('audit verify --json')
    expect(status).toBe(3)
    expect(JSON.parse(stdout)).toMatchObject({ intact: false, end: null })
  })

  it('tells who has kept the last line that the end is missing', async () => {
    const { data, done, run } = await withThreeLines()
    const known = (await done('audit verify')).split(' ').at(-1)
    writeFileSync(segment(data), readFileSync(segment(data), 'utf8').replace(/.*\n$/, ''))
    expect(await run('audit verify')).toMatchObject({ status: 0 })
    expect(await run(`audit verify --known ${known}`)).toMatchObject({
      status: 3,
      stdout: 'broken at line 3: it is not there, or another stands in its place\n',
    })
    rmSync(segment(data))
    expect(await run(`audit verify --known ${known}`)).toMatchObject({ status: 3 })
  })
})

it('changes nothing when it cannot be written', async () => {
  const { data, done, run } = await withThreeLines()
  writeFileSync(segment(data), 'broken')
  const { status, stderr } = await run('robot add late')
  expect(status).toBe(1)
  expect(stderr).toBe(
    'slipway: nothing was changed, because the audit cannot be written: its last line cannot be read, so nothing can follow it: see slipway audit verify\n',
  )
  expect(JSON.parse(await done('robot list --json')).robots).toHaveLength(2)
})
