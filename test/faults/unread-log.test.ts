import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it } from 'vitest'
import { itUnless, needsPrograms } from '../helpers/obstacles.ts'
import { program } from '../helpers/program.ts'
import { leashed } from '../helpers/programs.ts'
import { startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

it('serves on, and stops as it should, when nobody reads its log any more', async () => {
  const data = await mkdtemp(join(tmpdir(), 'slipway-unread-'))
  const args = [program, 'serve', '--listen', '127.0.0.1:0', '--data', data]
  const [first, ...rest] = leashed([process.execPath, ...args])
  const child = spawn(first, rest, { stdio: ['ignore', 'pipe', 'ignore'] })
  try {
    const [line]: unknown[] = await once(createInterface({ input: child.stdout }), 'line')
    const { address }: { address: string } = JSON.parse(String(line))
    child.stdout.destroy()
    // More lines than are gathered before they are written, in every worker.
    for (let count = 0; count < 200; count++) {
      const answer = await fetch(new URL('/v2/nobody/reads/tags/list', address))
      expect(answer.status).toBe(404)
    }
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    expect(await exited).toEqual([0, null])
  } finally {
    child.kill('SIGKILL')
    await rm(data, { recursive: true, force: true })
  }
})

itUnless(needsPrograms(['script']), 'ends with the terminal that it was started in', async () => {
  const data = await mkdtemp(join(tmpdir(), 'slipway-terminal-'))
  const command = `exec ${process.execPath} ${program} serve --listen 127.0.0.1:0 --data ${data}`
  const [first, ...rest] = leashed(['script', '--quiet', '--command', command, '/dev/null'])
  const terminal = spawn(first, rest, { stdio: ['ignore', 'pipe', 'ignore'] })
  try {
    for await (const line of createInterface({ input: terminal.stdout })) if (/^try /.test(line)) break
    terminal.kill('SIGKILL')
    const starts = () =>
      startServer({ data })
        .then(server => server.stop().then(() => true))
        .catch(() => false)
    await until('another can have the folder', starts)
  } finally {
    terminal.kill('SIGKILL')
    await rm(data, { recursive: true, force: true })
  }
})
