import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { administered } from '../helpers/administered.ts'

describe('access', () => {
  it('lists what stands without any rule', async () => {
    const { done } = administered()
    await done('user add bob')
    expect((await done('access list')).split('\n').map(line => line.split(/ {2,}/))).toEqual([
      ['ID', 'RULE', 'UNTIL', 'SOURCE', 'NOTE'],
      ['-', 'admin ** @administrators', '-', 'built in', '-'],
      ['-', 'delete ** signed-in', '-', 'built in', '-'],
    ])
  })

  it('adds a rule, prints its id, and says what the first one replaces', async () => {
    const { done, run } = administered()
    await done('user add bob')
    const first = await run("access add 'push team-a/** bob' --until 2030-12-31 --note 'a contractor'")
    expect(first).toEqual({
      status: 0,
      stdout: expect.stringMatching(/^[a-z2-7]{8}\n$/),
      stderr: 'this is the first rule: delete ** signed-in does not stand any more\n',
    })
    expect(await run("access add 'pull ** signed-in'")).toMatchObject({ status: 0, stderr: '' })
    const { rules } = JSON.parse(await done('access list --json'))
    expect(rules.map(({ rule }: { rule: string }) => rule)).toEqual([
      'admin ** @administrators',
      'push team-a/** bob',
      'pull ** signed-in',
    ])
    expect(rules[1]).toEqual({
      id: first.stdout.trim(),
      rule: 'push team-a/** bob',
      until: '2030-12-31',
      ended: false,
      note: 'a contractor',
      source: 'store',
    })
  })

  it.for<[args: string, status: number, message: string]>([
    ["'push ** anyone'", 1, 'the rule was not added: push for anyone, signed in or not: name who may push'],
    ["'psuh ** bob'", 2, 'unknown level "psuh": expected pull, push, delete, admin'],
    [
      "'push **'",
      2,
      'an access rule names nobody: expected LEVEL PATTERN WHO…, such as: push team-a/** @team-a robot:ci',
    ],
    ['push ** bob', 2, "unexpected argument **: expected 'RULE'"],
    [
      "'push ** bob' --until soon",
      2,
      'until "soon" is no date: expected 2026-12-31, the last day, or 2026-12-31T18:00Z',
    ],
  ])('refuses %s', async ([args, status, message]) => {
    const { done, run } = administered()
    await done('user add bob')
    expect(await run(`access add ${args}`)).toEqual({ status, stdout: '', stderr: `slipway: ${message}\n` })
  })

  it('warns of what was most likely not meant', async () => {
    const { run, data } = administered()
    const { status, stderr } = await run("access add 'pull ** robot:ci @team bbo' --until 2020-01-01")
    expect(status).toBe(0)
    expect(stderr.split('\n')).toEqual([
      `a registry was made in ${data}`,
      'warning: no group is called team: nobody gets anything by @team',
      'warning: it has ended and grants nothing: remove it',
      'warning: no robot is called ci yet',
      'warning: no user is called bbo yet',
      'this is the first rule: delete ** signed-in does not stand any more',
      '',
    ])
  })

  it('removes a rule, and says when the last one is gone', async () => {
    const { done, run } = administered()
    await done('user add bob')
    const id = await done("access add 'pull ** bob'")
    expect(await run(`access remove ${id}`)).toEqual({
      status: 0,
      stdout: '',
      stderr: `rule ${id} was removed: pull ** bob\nno rule is left, so delete ** signed-in stands again\n`,
    })
    expect(await run(`access remove ${id}`)).toMatchObject({
      status: 1,
      stderr: `slipway: no stored rule has the id "${id}": see slipway access list\n`,
    })
  })
})

describe('rules of the settings', () => {
  const yaml = [
    'groups: { team-a: [bob] }',
    'access:',
    '- push team-a/** @team-a',
    '- { rule: pull ** bob, until: 2020-01-31, note: gone }',
    'protect: ["frozen team-a/old"]',
  ]

  it('are listed with the place where they stand, and cannot be removed', async () => {
    const { cwd, done } = administered()
    writeFileSync(join(cwd, 'slipway.yaml'), `${yaml.join('\n')}\n`)
    await done('user add bob')
    expect((await done('access list')).split('\n').map(line => line.split(/ {2,}/))).toEqual([
      ['ID', 'RULE', 'UNTIL', 'SOURCE', 'NOTE'],
      ['-', 'admin ** @administrators', '-', 'built in', '-'],
      ['-', 'push team-a/** @team-a', '-', 'slipway.yaml:3', '-'],
      ['-', 'pull ** bob', '2020-02-01T00:00:00.000Z (ended)', 'slipway.yaml:4', 'gone'],
    ])
    expect(await done('protect list')).toContain('slipway.yaml:5')
  })

  it('answer questions, and stand beside those that are stored', async () => {
    const { cwd, done, run } = administered()
    writeFileSync(join(cwd, 'slipway.yaml'), `${yaml.join('\n')}\n`)
    await done('user add bob')
    const id = await run("access add 'delete ** bob'")
    // Not the first rule: the settings have some.
    expect(id).toMatchObject({ status: 0, stderr: '' })
    await done(`access remove ${id.stdout.trim()}`)
    expect(await run('can bob delete team-a/x')).toMatchObject({
      status: 1,
      stdout: 'no: bob has push on team-a/x by the rule push team-a/** @team-a\n',
    })
    const { holders } = JSON.parse(await done('who-can push team-a/x --json'))
    expect(holders).toMatchObject([{ who: '@administrators', members: [] }, { members: ['bob'] }])
    expect(await done('who-can push team-a/x')).toMatch(/^@team-a \(bob\) {2,}push {2,}push team-a/m)
    await done('user disable bob')
    expect(await done('who-can push team-a/x')).toMatch(/^@team-a \(nobody\) /m)
    await done('user enable bob')
    expect(await run('can bob pull other')).toMatchObject({ status: 1 })
    const why = await done('why bob team-a/old')
    expect(why).toContain('slipway.yaml:3')
    expect(why).toContain('frozen team-a/old')
  })
})

it('keeps protections', async () => {
  const { done, run } = administered()
  const id = await done("protect add 'immutable prod/**:v*'")
  expect(JSON.parse(await done('protect list --json'))).toEqual({
    protections: [{ id, protection: 'immutable prod/**:v*', source: 'store' }],
  })
  expect(await run("protect add 'eternal x'")).toMatchObject({ status: 2 })
  await done(`protect remove ${id}`)
  expect(await done('protect list')).toBe('ID  PROTECTION  SOURCE')
})

describe('questions', () => {
  it('are answered with yes while the registry is open', async () => {
    const { done } = administered()
    // A protection makes a registry and no principal.
    await done("protect add 'frozen old/**'")
    const open = 'the registry is open: it knows nobody and has no rule'
    expect(await done('can anonymous push a')).toBe(`yes: ${open}`)
    expect(await done('who-can push a')).toBe(`everybody: ${open}`)
    expect(await done('why anonymous old/a')).toBe(`${open}\nprotected from everybody: frozen old/**`)
  })

  it('are answered by the rules', async () => {
    const { done, run } = administered()
    await done('user add alice --admin')
    await done('user add bob')
    await done('robot add ci')
    const push = await done("access add 'push team-a/** bob robot:ci'")
    const own = await done("access add 'delete {user}/** signed-in'")

    const by = 'by the rule push team-a/** bob robot:ci'
    expect(await run('can bob push team-a/x')).toMatchObject({
      status: 0,
      stdout: `yes: bob has push on team-a/x ${by}\n`,
    })
    expect(await run('can robot:ci delete team-a/x')).toEqual({
      status: 1,
      stdout: `no: robot:ci has push on team-a/x ${by}\n`,
      stderr: '',
    })
    expect(await run('can robot:cd pull team-a/x')).toMatchObject({
      status: 1,
      stdout: 'no: no robot is called cd\n',
    })
    expect(await run('can anonymous pull team-a/x --json')).toMatchObject({
      status: 1,
      stdout:
        '{"can":false,"level":null,"because":"no rule grants anonymous anything on team-a/x","protections":[]}\n',
    })
    expect(
      (await done('why bob bob/x'))
        .split('\n')
        .slice(1)
        .map(line => line.split(/ {2,}/)),
    ).toEqual([
      ['LEVEL', 'AS', 'RULE', 'SOURCE'],
      ['delete', 'signed-in', 'delete {user}/** signed-in', own],
    ])
    const { holders } = JSON.parse(await done('who-can push team-a/x --json'))
    expect(holders.map(({ who, source }: { who: string; source: string }) => [who, source])).toEqual([
      ['@administrators', 'built in'],
      ['team-a, as signed-in', own],
      ['bob', push],
      ['robot:ci', push],
    ])
  })

  it('name what is protected, and answer no where that leaves nothing', async () => {
    const { done, run } = administered()
    await done('user add bob')
    for (const line of ['immutable a:v*', 'no-delete b', 'frozen c']) await done(`protect add '${line}'`)
    const answers = async (...lines: string[]) =>
      Promise.all(
        lines.map(async line => {
          const { status, stdout } = await run(`can bob ${line}`)
          return [status, stdout.split('\n').slice(1, -1)]
        }),
      )
    expect(await answers('pull c', 'push a', 'delete a', 'push b', 'delete b', 'push c')).toEqual([
      [0, []],
      [0, ['protected from everybody: immutable a:v*']],
      [0, ['protected from everybody: immutable a:v*']],
      [0, ['protected from everybody: no-delete b']],
      [1, ['protected from everybody: no-delete b']],
      [1, ['protected from everybody: frozen c']],
    ])
    expect(JSON.parse((await run('can bob push c --json')).stdout)).toMatchObject({
      can: false,
      level: 'delete',
      protections: ['frozen c'],
    })
  })

  it("say that a name is a robot's", async () => {
    const { done, run } = administered()
    await done('robot add ci')
    expect(await run('can ci pull a')).toMatchObject({
      status: 1,
      stdout: 'no: no user is called ci: a robot is, robot:ci\n',
    })
  })

  it.for<[line: string, message: RegExp]>([
    ['can anyone pull a', /expected .* or anonymous: who is not signed in is anonymous$/m],
    ['can bob read a', /^slipway: unknown level "read": expected pull, push, delete, admin$/m],
    [
      'can group:x pull a',
      /^slipway: "group:x" names nobody: expected NAME, robot:NAME, workload:NAME or anonymous$/m,
    ],
    ['why bob Upper', /^slipway: .*repository name/m],
    ['can bob pull', /^slipway: NAME is missing: expected WHO LEVEL NAME$/m],
  ])('end with 2 for %s', async ([line, message]) => {
    const { status, stderr } = await administered().run(line)
    expect(status).toBe(2)
    expect(stderr).toMatch(message)
  })
})
