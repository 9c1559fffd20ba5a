/** The commands beside a running server, and what they leave in its folder. */

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { parseSecret } from '../../auth/secrets.ts'
import { administered, treeOf } from '../helpers/administered.ts'
import { canary } from '../helpers/canaries.ts'
import { itUnless, needsOwnServer, needsPrograms } from '../helpers/obstacles.ts'
import { program } from '../helpers/program.ts'
import { leashed } from '../helpers/programs.ts'
import { startServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

async function served(): Promise<TestServer & { readonly data: string }> {
  const server = await startServer()
  onTestFinished(() => server[Symbol.asyncDispose]())
  if (server.data === undefined) throw new Error('the server is not ours')
  return { ...server, data: server.data }
}

itUnless(
  needsOwnServer(),
  'loses nothing of what commands do at once',
  async () => {
    const { data } = await served()
    const { done } = administered(data)
    await done('robot add ci')
    const lines = [
      ...Array.from({ length: 12 }, () => 'token create --robot ci'),
      ...Array.from({ length: 4 }, (_, index) => `access add 'pull team-${index} robot:ci'`),
      ...Array.from({ length: 4 }, (_, index) => `user add user-${index}`),
    ]
    await Promise.all(lines.map(line => done(line)))
    const counts = await Promise.all(['token list', 'access list', 'user list'].map(line => done(line)))
    // Headings, and the rule that stands always.
    expect(counts.map(text => text.split('\n').length)).toEqual([13, 6, 5])
    expect(await done('audit verify')).toMatch(/^intact: 21 lines;/)
  },
  60_000,
)

itUnless(
  needsOwnServer(),
  'loses nothing when the server stops meanwhile',
  async () => {
    const server = await served()
    const { done } = administered(server.data)
    await done('robot add ci')
    const making = Array.from({ length: 12 }, () => done('token create --robot ci'))
    await Promise.race(making)
    const [code, ...secrets] = await Promise.all([server.stop(), ...making])
    expect(code).toBe(0)
    const { tokens } = JSON.parse(await done('token list --json'))
    const ids = secrets.map(secret => parseSecret(secret)?.id)
    expect(tokens.map(({ id }: { id: string }) => id).toSorted()).toEqual(ids.toSorted())
  },
  60_000,
)

itUnless(needsOwnServer(), 'leaves no secret where it does not belong', async () => {
  const server = await served()
  const { run } = administered(server.data)
  const typed = canary('what was typed')
  const outputs = [
    await run('user add alice --admin --password-stdin', `${typed}\n`),
    await run('user passwd alice --password-stdin', `${typed}-2\n`),
    await run('user add alice --password-stdin --log-level debug', `${typed}-3\n`),
    await run('robot add ci'),
  ]
  const bob = await run('user add bob')
  const made = await run('token create --robot ci')
  const own = await run('token create --user alice')
  const secrets = [typed, bob.stdout.trim(), made.stdout.trim(), own.stdout.trim()]
  expect(secrets.map(({ length }) => length)).toEqual([21, 20, 55, 55])
  outputs.push(
    await run(`token revoke ${secrets[2]} --log-level debug`),
    await run(`can ${secrets[3]} pull a`),
    await run(`${secrets[3]}`),
    await run(`user list ${secrets[3]} --log-level debug`),
    await run(`keys revoke ${secrets[3]}`),
    await run(`access add '${secrets[3]}'`),
    await run(`access add 'pull a robot:ci' --note ${secrets[3]}`),
    await run('token list --json'),
    await run('user list --json'),
    await run('access list --json'),
    await run('keys list --json'),
    await run('audit --json'),
    { ...bob, stdout: '' },
    { ...made, stdout: '' },
    { ...own, stdout: '' },
  )
  await server.stop()

  const files = treeOf(server.data)
  const printed = outputs.map(({ stdout, stderr }) => stdout + stderr)
  const texts = [...files.map(({ text = '' }) => text), ...printed, JSON.stringify(server.log)]
  // The last 38 letters of a token are what is secret of it.
  for (const secret of secrets)
    expect(texts.filter(text => text.includes(secret.slice(-38))).map(text => text.slice(0, 500))).toEqual([])
  const keys = files.find(({ path }) => path === join(server.data, 'secret/keys'))
  const ring = JSON.parse(keys?.text ?? '').value.keys
  for (const { d } of ring) if (d !== undefined) expect(printed.filter(text => text.includes(d))).toEqual([])
  for (const { mode, text } of files) expect(mode).toBe(text === undefined ? 0o700 : 0o600)
})

interface Terminal {
  readonly shown: () => string
  type(text: string): void
  readonly ended: Promise<number | null>
}

function inTerminal(cwd: string, data: string, words: string): Terminal {
  const line = `'${process.execPath}' '${program}' ${words}`
  const [first, ...rest] = leashed(['script', '--quiet', '--return', '--command', line, '/dev/null'])
  const child = spawn(first, rest, {
    cwd,
    env: { SLIPWAY_DATA: data, PATH: process.env.PATH },
  })
  let shown = ''
  for (const output of [child.stdout, child.stderr]) output.on('data', chunk => (shown += chunk))
  onTestFinished(() => void child.kill())
  const ended = new Promise<number | null>(resolve => child.once('close', resolve))
  return { shown: () => shown, type: text => child.stdin.write(text), ended }
}

itUnless(
  needsPrograms(['script']),
  'asks a terminal twice for a password, and does not show it',
  async () => {
    const { cwd, data, done } = administered()
    const terminal = inTerminal(cwd, data, 'user add alice --admin')
    await until('it asks', () => terminal.shown().includes('Password for alice (empty: one is made): '))
    terminal.type('correct horsy\u007fe battery\r')
    await until('it asks again', () => terminal.shown().includes('The same again: '))
    terminal.type('correct horse battery\r')
    expect(await terminal.ended).toBe(0)
    expect(terminal.shown()).toContain('administrator alice was added\r\n')
    expect(terminal.shown()).not.toMatch(/hors|battery/)
    expect(await done('user list')).toMatch(/^alice/m)
  },
)

itUnless(
  needsPrograms(['script']),
  'changes nothing where the two differ, or somebody interrupts',
  async () => {
    const { cwd, data, run } = administered()
    const differing = inTerminal(cwd, data, 'user add alice')
    await until('it asks', () => differing.shown().includes('is made): '))
    differing.type('correct horse battery\rcorrect horse buttery\r')
    expect(await differing.ended).toBe(1)
    expect(differing.shown()).toContain('these were two different passwords: nothing was changed')
    const interrupted = inTerminal(cwd, data, 'user add alice')
    await until('it asks', () => interrupted.shown().includes('is made): '))
    interrupted.type('corr\u0003')
    expect(await interrupted.ended).toBe(1)
    expect(interrupted.shown()).toContain('interrupted: nothing was changed')
    expect(await run('user list')).toMatchObject({ status: 1 })
  },
)
