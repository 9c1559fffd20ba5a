import { writeFile } from 'node:fs/promises'
import { expect } from 'vitest'
import { it as base, describeClient } from '../helpers/clients.ts'
import { digestsOf, image, multiArch } from '../helpers/images.ts'
import { manifestStatus, pullDigests, pushImage } from '../helpers/push.ts'
import { openTap } from '../helpers/tap.ts'

/** Plug-ins that probe the machine for file systems and networks that no test here needs. */
const unwanted = [
  'io.containerd.grpc.v1.cri',
  'io.containerd.internal.v1.opt',
  ...['aufs', 'btrfs', 'devmapper', 'zfs'].map(name => `io.containerd.snapshotter.v1.${name}`),
]

/** Runs `ctr` against a containerd of this file's own. */
const it = base.extend('ctr', { scope: 'file' }, async ({ sandbox }, { onCleanup }) => {
  const [config, socket] = [sandbox.path('containerd.toml'), sandbox.path('containerd.sock')]
  const settings = [
    'version = 2',
    `root = '${sandbox.path('root')}'`,
    `state = '${sandbox.path('state')}'`,
    `disabled_plugins = ${JSON.stringify(unwanted)}`,
    '[grpc]',
    `address = '${socket}'`,
  ]
  await writeFile(config, settings.join('\n'))
  const ctr = (...args: string[]) => sandbox.run('ctr', ['--address', socket, ...args])
  const isReady = () =>
    ctr('version').then(
      () => true,
      () => false,
    )
  const daemon = await sandbox.start('containerd', ['--config', config], isReady)
  onCleanup(() => daemon[Symbol.asyncDispose]())
  return ctr
})

describeClient(['ctr', 'containerd'], () => {
  it.for([
    ['an image', image({ seed: 'ctr' })],
    ['a multi-arch index', multiArch({ seed: 'ctr' })],
    ['a schema 2 manifest list', multiArch({ seed: 'ctr', dialect: 'docker' })],
  ] as const)('pulls and pushes %s whole', async ([, made], { ctr, server, repository }) => {
    const [from, to] = [repository('from'), repository('to')]
    await pushImage(from, made, '1')
    const names = [`${server.host}/${from.name}:1`, `${server.host}/${to.name}:1`] as const

    await ctr('images', 'pull', '--plain-http', '--all-platforms', names[0])
    await ctr('images', 'tag', ...names)
    await ctr('images', 'push', '--plain-http', names[1])

    expect(await pullDigests(to, '1')).toEqual({ top: made.descriptor.digest, all: digestsOf(made) })
  })

  it('pulls again what it pushed and lost', async ({ ctr, server, repository }) => {
    const app = repository('app')
    const made = image({ seed: 'ctr round trip' })
    await pushImage(app, made, '1')
    const name = `${server.host}/${app.name}:1`

    await ctr('images', 'pull', '--plain-http', name)
    await ctr('images', 'rm', '--sync', name)
    await ctr('images', 'pull', '--plain-http', name)

    expect(await ctr('images', 'ls', `name==${name}`)).toContain(made.descriptor.digest)
  })

  it('mounts what it pulled from another repository', async ({ ctr, server, repository }) => {
    const [from, to] = [repository('from'), repository('to')]
    const made = image({ seed: 'ctr mount' })
    await pushImage(from, made, '1')
    await using tap = await openTap(server.host)
    const names = [`${tap.host}/${from.name}:1`, `${tap.host}/${to.name}:1`] as const

    await ctr('images', 'pull', '--plain-http', names[0])
    await ctr('images', 'tag', ...names)
    await ctr('images', 'push', '--plain-http', names[1])

    expect(tap.uploadedBytes()).toBe(0)
    expect(tap.mounts()).toBe(made.blobs.length)
    expect(await manifestStatus(to, '1')).toBe(200)
  })
})
