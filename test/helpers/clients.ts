/** Tests that drive programs of other people, and what each is given. */
import { randomBytes } from 'node:crypto'
import { test } from 'vitest'
import { describeUnless, needsPrograms, type Program } from './obstacles.ts'
import type { Repository } from './push.ts'
import { openSandbox } from './sandbox.ts'
import { startServer } from './server.ts'

/** A suite that needs programs, by the name of the first. */
export function describeClient(programs: readonly [Program, ...Program[]], behaviours: () => void): void {
  describeUnless(needsPrograms(programs), programs[0], behaviours)
}

/** A test with a registry and a sandbox, both for the whole file, and repositories of its own. */
export const it = test
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the names of fixtures from the pattern
  .extend('server', { scope: 'file' }, async ({}, { onCleanup }) => {
    const server = await startServer()
    onCleanup(() => server[Symbol.asyncDispose]())
    return server
  })
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the names of fixtures from the pattern
  .extend('sandbox', { scope: 'file' }, async ({}, { onCleanup }) => {
    const sandbox = await openSandbox()
    onCleanup(() => sandbox[Symbol.asyncDispose]())
    return sandbox
  })
  .extend('repository', ({ server }) => {
    const team = `test-${randomBytes(4).toString('hex')}`
    return (name: string): Repository => ({ address: server.address, name: `${team}/${name}` })
  })
