import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseSecret } from '../../auth/secrets.ts'
import { administered } from '../helpers/administered.ts'

const dayMs = 86_400_000

describe('token create', () => {
  it('prints the secret alone, and its id beside it', async () => {
    const { done, run } = administered()
    await done('robot add ci')
    const { stdout, stderr } = await run("token create --robot ci --for 30d --pull 'team-a/**' --push x/y")
    const secret = parseSecret(stdout.trim())
    expect(secret).toMatchObject({ kind: 'robot' })
    expect(stderr).toMatch(`token ${secret?.id} of robot:ci, until `)
    expect(stderr).not.toContain(stdout.trim())
    const { tokens } = JSON.parse(await done('token list --json'))
    expect(tokens).toEqual([
      {
        id: secret?.id,
        owner: 'robot:ci',
        ceiling: ['pull team-a/**', 'push x/y'],
        state: 'good',
        createdAt: expect.any(String),
        expiresAt: expect.any(String),
        revokedAt: null,
      },
    ])
    expect(Date.parse(tokens[0].expiresAt) - Date.parse(tokens[0].createdAt)).toBe(30 * dayMs)
  })

  it('lets it live for 90 days where nothing is said', async () => {
    const { done } = administered()
    await done('user add bob')
    expect(await done('token create --user bob')).toMatch(/^slw_p_/)
    const [token] = JSON.parse(await done('token list --json')).tokens
    expect(Date.parse(token.expiresAt) - Date.parse(token.createdAt)).toBe(90 * dayMs)
    expect(token.ceiling).toBeNull()
  })

  it('makes one for ever for a robot only, with a warning', async () => {
    const { done, run } = administered()
    await done('robot add ci')
    await done('user add bob')
    const { status, stderr } = await run('token create --robot ci --for never')
    expect(status).toBe(0)
    expect(stderr).toMatch(/^warning: this token never ends: /m)
    expect(await run('token create --user bob --for never')).toEqual({
      status: 1,
      stdout: '',
      stderr: "slipway: a person's token has an end: at most 365d, by --for\n",
    })
  })

  it.for<[args: string, status: number, message: string]>([
    ['', 2, 'whose token? expected --user NAME or --robot NAME, one of them'],
    ['--user bob --robot ci', 2, 'whose token? expected --user NAME or --robot NAME, one of them'],
    ['--robot ci --for 90', 2, '--for: expected a time such as 90d, or never, found 90'],
    ['--robot ci --for 366d', 1, 'a token lives from 1s to 365d (tokens.max_ttl)'],
    [
      '--robot ci --pull Team',
      2,
      'unexpected "T" in a pattern: expected lower-case letters, digits, . _ - * ** or {user}',
    ],
    ['--robot cd', 1, 'no robot is called cd: make it first, by slipway robot add cd'],
    ['--user cd', 1, 'no user is called cd: make one first, by slipway user add cd'],
  ])('refuses %s', async ([args, status, message]) => {
    const { done, run } = administered()
    await done('robot add ci')
    expect(await run(`token create ${args}`)).toEqual({ status, stdout: '', stderr: `slipway: ${message}\n` })
  })
})

it('lets tokens live as long as the settings say', async () => {
  const { cwd, done, run } = administered()
  writeFileSync(join(cwd, 'slipway.yaml'), 'tokens: { max_ttl: 30h, default_ttl: 12h }\n')
  await done('robot add ci')
  await done('token create --robot ci')
  await done('token create --robot ci --for 30h')
  const { tokens } = JSON.parse(await done('token list --json'))
  const lives = tokens.map(
    ({ createdAt, expiresAt }: Record<'createdAt' | 'expiresAt', string>) =>
      Date.parse(expiresAt) - Date.parse(createdAt),
  )
  expect(lives).toEqual([12 * 3_600_000, 30 * 3_600_000])
  expect(await run('token create --robot ci --for 31h')).toEqual({
    status: 1,
    stdout: '',
    stderr: 'slipway: a token lives from 1s to 30h (tokens.max_ttl)\n',
  })
})

it('revokes a token', async () => {
  const { done, run } = administered()
  await done('robot add ci')
  const secret = await done('token create --robot ci')
  const id = parseSecret(secret)?.id ?? ''
  await done(`token revoke ${id}`)
  expect((await done('token list')).split('\n')[1]).toMatch(new RegExp(`^${id} .* revoked$`))
  const wrong = await run(`token revoke ${secret}`)
  expect(wrong).toMatchObject({ status: 1, stdout: '' })
  expect(wrong.stderr).not.toContain(secret)
})

it('lists robots with the tokens they can use, and removes them with all', async () => {
  const { done, run } = administered()
  await done('robot add ci')
  await done('token create --robot ci')
  const id = parseSecret(await done('token create --robot ci'))?.id
  await done(`token revoke ${id}`)
  expect(JSON.parse(await done('robot list --json'))).toEqual({
    robots: [{ name: 'ci', createdAt: expect.any(String), tokens: 1 }],
  })
  expect(await run('robot add ci')).toMatchObject({ status: 1 })
  await done('robot remove ci')
  expect(JSON.parse(await done('token list --json'))).toEqual({ tokens: [] })
})

it('loses none of twenty tokens that are made at once', async () => {
  const { done } = administered()
  await done('robot add ci')
  const secrets = await Promise.all(Array.from({ length: 20 }, () => done('token create --robot ci')))
  const ids = secrets.map(secret => parseSecret(secret)?.id)
  const { tokens } = JSON.parse(await done('token list --json'))
  expect(tokens.map(({ id }: { id: string }) => id).toSorted()).toEqual(ids.toSorted())
  expect(await done('audit verify')).toMatch(/^intact: 21 lines;/)
}, 60_000)
