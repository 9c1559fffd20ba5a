/** What tests need and a machine may not have. */
import { describe, test } from 'vitest'
import { loadSyscalls } from '../../kernel/syscalls.ts'
import { findProgram } from './programs.ts'

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
  wrk: 'apt-get install wrk',
  mount: 'apt-get install mount',
  script: 'apt-get install bsdutils',
  crane: 'go install github.com/google/go-containerregistry/cmd/crane@v0.21.9',
  regctl: 'go install github.com/regclient/regclient/cmd/regctl@v0.11.5',
  versitygw: 'go install github.com/versity/versitygw/cmd/versitygw@v1.8.0',
  minio: 'go install github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c',
} as const

export type Program = keyof typeof sources

/** These mount file systems. */
const rootOnly: readonly Program[] = ['podman', 'buildah', 'dockerd', 'containerd', 'mount']

/** What is in the way of a test, in one line that says how to get it out; undefined where nothing is. */
export type Obstacle = string | undefined

export const isRoot = () => process.getuid?.() === 0

export const needsRoot = (what: string): Obstacle =>
  isRoot() ? undefined : `${what} is tested only as root: sudo npm test`

export const needsPrograms = (programs: readonly Program[]): Obstacle =>
  programs.map(obstacleOf).find(obstacle => obstacle !== undefined)

function obstacleOf(program: Program): Obstacle {
  if (!findProgram(program)) return `${program} is not installed: ${sources[program]}`
  return rootOnly.includes(program) ? needsRoot(program) : undefined
}

export async function needsSyscalls(): Promise<Obstacle> {
  const loaded = await loadSyscalls()
  return 'missing' in loaded ? loaded.missing : undefined
}

export const needsOwnServer = (): Obstacle =>
  process.env.TEST_REGISTRY
    ? 'TEST_REGISTRY names a registry into whose folder nobody looks: unset it'
    : undefined

/**
 * A suite that is one skipped test with the reason where something is in its way, or one failed test where CI is set:
 * there, nothing may be missing.
 */
export function describeUnless(obstacle: Obstacle, name: string, behaviours: () => void): void {
  if (obstacle === undefined) describe(name, behaviours)
  else itUnless(obstacle, name, async () => {})
}

/** The same for a single test. */
export function itUnless(
  obstacle: Obstacle,
  behaviour: string,
  body: () => Promise<void>,
  timeoutMs?: number,
): void {
  test(
    behaviour,
    async ({ skip }) => {
      if (obstacle === undefined) return body()
      if (process.env.CI) throw new Error(obstacle)
      skip(obstacle)
    },
    timeoutMs,
  )
}
