/** The programs of other people that these tests drive, where to find them, and what a test of theirs is given. */
import { randomBytes } from 'node:crypto'
import { describe, test } from 'vitest'
import { findProgram } from './programs.ts'
import type { Repository } from './push.ts'
import { isRoot, openSandbox } from './sandbox.ts'
import { startServer } from './server.ts'

/** How to get each program. */
const sources = {
  skopeo: 'apt-get install skopeo',
  podman: 'apt-get install podman',
  buildah: 'apt-get install buildah',
  umoci: 'apt-get install umoci',
  ctr: 'apt-get install containerd',
  containerd: 'apt-get install containerd',
  docker: 'apt-get install docker.io',
  dockerd: 'apt-get install docker.io',
  nginx: 'apt-get install nginx-light',
  crane: 'go install github.com/google/go-containerregistry/cmd/crane@v0.21.9',
  regctl: 'go install github.com/regclient/regclient/cmd/regctl@v0.11.5',
  versitygw: 'go install github.com/versity/versitygw/cmd/versitygw@v1.8.0',
  minio: 'go install github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c',
} as const

export type Program = keyof typeof sources

/** These mount file systems. */
const rootOnly: readonly Program[] = ['podman', 'buildah', 'dockerd', 'containerd']

/**
 * A suite that needs programs. Where one is missing the suite is one skipped test that says how to get it, or one
 * failed test where CI is set: there, nothing may be missing.
 */
export function describeClient(programs: readonly Program[], behaviours: () => void): void {
  const [name = ''] = programs
  const missing = programs.map(obstacle).find(found => found !== undefined)
  if (missing === undefined) {
    describe(name, behaviours)
    return
  }
  test(name, ({ skip }) => {
    if (process.env.CI) throw new Error(missing)
    skip(missing)
  })
}

function obstacle(program: Program): string | undefined {
  if (!findProgram(program)) return `${program} is not installed: ${sources[program]}`
  if (rootOnly.includes(program) && !isRoot()) return `${program} is tested only as root: sudo npm test`
  return undefined
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
