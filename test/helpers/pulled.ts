/** What each client has after a pull, in the words of the image. */

import { readFile } from 'node:fs/promises'
import { expect } from 'vitest'
import { type Digest, hexOf } from '../../oci/names.ts'
import { digest, type Image } from './images.ts'
import { readLayout } from './layout.ts'
import type { LoginProgram, Person } from './login-clients.ts'

/** Digests of an image's layers, as they are sent and as they are unpacked. */
export interface Layers {
  readonly sent: readonly Digest[]
  readonly unpacked: readonly Digest[]
}

export function layersOf({ blobs: [config, ...layers] }: Image): Layers {
  // The configuration is of our making.
  const { rootfs } = JSON.parse(String(config?.bytes)) as { rootfs: { diff_ids: Digest[] } }
  return { sent: layers.map(({ descriptor }) => descriptor.digest), unpacked: rootfs.diff_ids }
}

type Check = (person: Person, from: string, folder: string, layers: Layers) => Promise<void>

/** Of a store of its own, which has unpacked what it says it has. */
const inspected =
  (...words: readonly string[]): Check =>
  async (person, from, _, { unpacked }) =>
    expect(JSON.parse(await person.done([...words, from]))).toEqual(unpacked)

const inLayout: Check = async (_person, _from, folder, { sent }) =>
  expect((await readLayout(folder)).digests).toEqual(expect.arrayContaining([...sent]))

const checks = {
  docker: inspected('image', 'inspect', '--format', '{{json .RootFS.Layers}}'),
  podman: inspected('image', 'inspect', '--format', '{{json .RootFS.Layers}}'),
  buildah: async (person, from, _, { unpacked }) => {
    const told = JSON.parse(await person.done(['inspect', '--type=image', from]))
    expect(told).toMatchObject({ OCIv1: { rootfs: { diff_ids: unpacked } } })
  },
  skopeo: async (_person, _from, folder, { sent }) => {
    for (const each of sent) expect(digest(await readFile(`${folder}/${hexOf(each)}`))).toBe(each)
  },
  crane: inLayout,
  regctl: inLayout,
} as const satisfies Record<LoginProgram, Check>

/** That a client has pulled these layers, by what is on the disk or by what it says of what it has unpacked. */
export const expectPulled = (program: LoginProgram, ...found: Parameters<Check>): Promise<void> =>
  checks[program](...found)
