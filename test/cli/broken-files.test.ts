/** Commands beside files that cannot be used: who has to mend something must be let in. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { administered } from '../helpers/administered.ts'

function withFiles(yaml: string, files: Readonly<Record<string, string>>) {
  const registry = administered()
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(registry.cwd, path, '..'), { recursive: true })
    writeFileSync(join(registry.cwd, path), text)
  }
  writeFileSync(join(registry.cwd, 'slipway.yaml'), yaml)
  return registry
}

it('make an administrator while the password file is broken, and say that it is', async () => {
  const { run, done } = withFiles('login: { htpasswd: users }', { users: 'bob:SECRET' })
  const warning = /^warning: slipway\.yaml:1: login\.htpasswd: \S+users: line 1: expected a bcrypt hash/m
  for (const line of ['user add alice --admin', 'robot add ci', 'token create --robot ci', 'audit']) {
    const { status, stderr } = await run(line)
    expect([line, status]).toEqual([line, 0])
    expect(stderr).toMatch(warning)
    expect(stderr).not.toMatch(/SECRET|open to everybody/)
  }
  expect(await run('token create --user bob')).toMatchObject({ status: 1, stdout: '' })
  expect(await done('audit verify')).toMatch(/^intact/)
})

it.for(['user list', 'can bob pull app', 'why bob app', 'who-can pull app'])(
  'do not answer %s without the password file',
  async line => {
    const { run, done } = withFiles('login: { htpasswd: users }', { users: 'bob:SECRET' })
    await done('user add alice --admin')
    const { status, stdout, stderr } = await run(line)
    expect([status, stdout]).toEqual([1, ''])
    expect(stderr).toContain('slipway: who is in the password file cannot be told')
  },
)

it('go by the name of a setting, not by what a path is called', async () => {
  const { run } = withFiles('tls: { cert: login.htpasswd/a.crt, key: login.htpasswd/a.key }', {
    'login.htpasswd/a.crt': 'broken',
    'login.htpasswd/a.key': 'broken',
  })
  const { status, stderr } = await run('user add alice --admin')
  expect(status).toBe(0)
  expect(stderr).not.toContain('htpasswd')
})
