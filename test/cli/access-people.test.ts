import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { administered } from '../helpers/administered.ts'

const good = 'correct horse battery\n'

describe('user add', () => {
  it('makes the registry, and a password that it shows alone and once', async () => {
    const { run, done, data } = administered()
    const { status, stdout, stderr } = await run('user add alice --admin')
    expect(status).toBe(0)
    expect(stdout).toMatch(/^[A-Za-z2-9]{20}\n$/)
    expect(stderr).toBe(
      `a registry was made in ${data}\n` +
        'administrator alice was added; the password is shown once\n' +
        'the registry was open to everybody; from now on people and machines sign in\n',
    )
    expect(JSON.parse(await done('user list --json'))).toEqual({
      users: [
        {
          name: 'alice',
          disabled: false,
          administrator: true,
          groups: ['administrators'],
          createdAt: expect.stringMatching(/Z$/),
          source: 'store',
        },
      ],
    })
  })

  it('takes a password from standard input and prints nothing of it', async () => {
    const { run } = administered()
    const { status, stdout, stderr } = await run('user add bob --password-stdin', good)
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
    expect(stderr).toMatch(/^user bob was added$/m)
    expect(stderr).toMatch(/^warning: nobody is an administrator: add one by slipway user add NAME --admin$/m)
  })

  it.for<[input: string, status: number, message: string]>([
    ['short', 1, 'a password has at least 12 characters: choose another, or let one be made'],
    [
      'password12345',
      1,
      'this password is among the first that anybody would guess: choose another, or let one be made',
    ],
    ['', 2, '--password-stdin: expected one line, the password, on standard input'],
    ['one\ntwo\n', 2, '--password-stdin: expected one line, the password, on standard input'],
  ])('refuses %j, and makes nothing', async ([input, status, message]) => {
    const { run, data } = administered()
    const ended = await run('user add bob --password-stdin', input)
    expect(ended).toEqual({ status, stdout: '', stderr: `slipway: ${message}\n` })
    expect(existsSync(data)).toBe(false)
  })

  it.for(['Bob', 'anyone', 'a/b'])('refuses the name %s', async name => {
    const { status, stderr } = await administered().run(`user add ${name}`)
    expect(status).toBe(2)
    expect(stderr).toBe(
      `slipway: ${JSON.stringify(name)} cannot be a name: expected lower-case letters and digits joined by . _ or -, at most 64 of them\n`,
    )
  })
})

it('lists users in a table', async () => {
  const { done } = administered()
  await done('user add bob')
  await done('user add alice --admin')
  await done('user disable bob')
  const lines = (await done('user list')).split('\n').map(line => line.split(/ {2,}/))
  expect(lines).toEqual([
    ['NAME', 'STATE', 'GROUPS', 'CREATED', 'SOURCE'],
    ['alice', 'active', 'administrators', expect.stringMatching(/^\d{4}-/), 'store'],
    ['bob', 'disabled', '-', expect.stringMatching(/^\d{4}-/), 'store'],
  ])
})

it('keeps the last administrator', async () => {
  const { done, run } = administered()
  await done('user add alice --admin')
  const refused = {
    status: 1,
    stdout: '',
    stderr:
      'slipway: alice is the last administrator: make another one first, by slipway user add NAME --admin\n',
  }
  expect(await run('user remove alice')).toEqual(refused)
  expect(await run('user disable alice')).toEqual(refused)
  await done('user add carol --admin')
  expect(await run('user remove alice')).toMatchObject({ status: 0 })
  expect(await done('can carol admin any/thing')).toMatch(/^yes: /)
})

it('keeps a disabled user out until enabled again', async () => {
  const { done, run } = administered()
  await done('user add bob')
  await done('user disable bob')
  expect(await run('can bob pull a')).toMatchObject({ status: 1, stdout: 'no: user bob is disabled\n' })
  await done('user enable bob')
  expect(await run('can bob pull a')).toMatchObject({ status: 0 })
})

it('gives another password, and says what stays', async () => {
  const { done, run } = administered()
  await done('user add bob')
  await done('token create --user bob')
  const { stdout, stderr } = await run('user passwd bob')
  expect(stdout).toMatch(/^\S{20}\n$/)
  expect(stderr).toBe(
    'user bob has another password; it is shown once\ntokens of bob stay as they are: see slipway token list\n',
  )
  expect(await run('user passwd eve')).toMatchObject({ status: 1, stdout: '' })
})

it('ends tokens with their user, and says what does not end', async () => {
  const { done, run } = administered()
  await done('user add alice --admin')
  await done('user add bob')
  await done('token create --user bob')
  const id = await done("access add 'push team/** bob'")
  const { stderr } = await run('user remove bob')
  expect(stderr).toBe(
    `user bob was removed, with all tokens\nwarning: a later bob would have what rule ${id} grants: push team/** bob\n`,
  )
  await done('user add bob')
  expect(JSON.parse(await done('token list --json'))).toEqual({ tokens: [] })
})

describe('a user of the password file', () => {
  const erin =
    'slipway: erin is a user of the file that login.htpasswd names: change or remove the line there\n'

  it.for(['disable', 'enable', 'passwd', 'remove'])('is not for user %s', async act => {
    const { run } = await withErin()
    expect(await run(`user ${act} erin`)).toEqual({ status: 1, stdout: '', stderr: erin })
  })

  it('gives way to a stored one, which is told', async () => {
    const { done, run } = await withErin()
    const { stderr } = await run('user add erin')
    expect(stderr).toContain('warning: the password that login.htpasswd has for erin is not taken any more\n')
    await done('user disable erin')
    expect((await run('user remove erin')).stderr).toBe(
      'user erin was removed, with all tokens\nwarning: erin can log in by login.htpasswd again\n',
    )
  })

  async function withErin() {
    const here = administered()
    const hash = '$2y$04$abcdefghijklmnopqrstuuWgK1J5c1QSpTYwUYwVqBMwfvwfdBTJa'
    writeFileSync(join(here.cwd, 'htpasswd'), `erin:${hash}\n`)
    writeFileSync(join(here.cwd, 'slipway.yaml'), 'login: { htpasswd: htpasswd }\n')
    await here.done('user add alice --admin')
    return here
  }
})

it('says when nobody is left', async () => {
  const { done, run } = administered()
  await done('user add bob')
  const { stderr } = await run('user remove bob')
  expect(stderr).toContain('warning: nobody is left, so the registry is open to everybody who can reach it')
})

it.for([
  'user list',
  'user remove bob',
  'token list',
  'access list',
  'can bob pull a',
  'keys list',
  'audit',
  'audit verify',
])('makes no registry where there is none: %s', async line => {
  const { run, data } = administered()
  expect(await run(line)).toEqual({
    status: 1,
    stdout: '',
    stderr: `slipway: there is no registry in ${data}: name its folder with --data, or begin with slipway user add NAME --admin\n`,
  })
  expect(existsSync(data)).toBe(false)
})
