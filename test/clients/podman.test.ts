import { mkdir, writeFile } from 'node:fs/promises'
import { expect } from 'vitest'
import { it as base, describeClient } from '../helpers/clients.ts'
import { digestsOf, image, multiArch, randomBytes } from '../helpers/images.ts'
import { readLayout } from '../helpers/layout.ts'
import type { Program } from '../helpers/obstacles.ts'
import { manifestStatus, pullDigests, pushImage } from '../helpers/push.ts'
import { openTap } from '../helpers/tap.ts'
import { tar } from '../helpers/tar.ts'

/** podman and buildah share their images and most of their commands. */
const it = base.extend('command', { scope: 'file' }, async ({ sandbox }) => {
  const store = ['--root', sandbox.path('store'), '--runroot', sandbox.path('runs'), '--storage-driver=vfs']
  const podman = ['--cgroup-manager=cgroupfs', '--events-backend=file', '--tmpdir', sandbox.path('tmp')]
  const options: Partial<Record<Program, readonly string[]>> = {
    podman: [...store, ...podman],
    buildah: store,
  }
  return (program: Program, ...args: string[]) => sandbox.run(program, [...(options[program] ?? []), ...args])
})

for (const program of ['podman', 'buildah'] as const) {
  describeClient([program], () => {
    it('builds an image from scratch, pushes it and pulls it back', async ({
      server,
      sandbox,
      command,
      repository,
    }) => {
      const app = repository('app')
      const name = `${server.host}/${app.name}:1`
      await mkdir(sandbox.path(program))
      await writeFile(sandbox.path(program, 'data'), randomBytes(program, 4_000_000))
      await writeFile(
        sandbox.path(program, 'Dockerfile'),
        'FROM scratch\nCOPY data /data\nENTRYPOINT ["/data"]\n',
      )

      await command(program, 'build', '--tag', name, sandbox.path(program))
      await command(program, 'push', '--tls-verify=false', name)
      const id = await command(program, 'images', '--no-trunc', '--quiet', name)
      await command(program, 'rmi', name)
      await command(program, 'pull', '--tls-verify=false', name)

      expect(await command(program, 'images', '--no-trunc', '--quiet', name)).toBe(id)
      expect((await pullDigests(app, '1')).all).toContain(id.trim())
    })

    it('pulls an image and writes the same blobs to a layout', async ({
      server,
      sandbox,
      command,
      repository,
    }) => {
      const app = repository('app')
      const made = image({ seed: `${program} pull` })
      await pushImage(app, made, '1')
      const name = `${server.host}/${app.name}@${made.descriptor.digest}`
      const layout = sandbox.path(`${program}-pulled`)

      await command(program, 'pull', '--tls-verify=false', name)
      await command(program, 'push', name, `oci:${layout}:1`)

      expect((await readLayout(layout)).digests).toContain(made.blobs[0]?.descriptor.digest)
    })

    it('mounts layers when it pushes to a second repository', async ({ server, command, repository }) => {
      const [source, first, second] = [repository('source'), repository('first'), repository('second')]
      const made = image({ seed: `${program} mount` })
      await pushImage(source, made, '1')
      await using tap = await openTap(server.host)
      const name = (of: typeof first) => `${tap.host}/${of.name}:1`
      await command(program, 'pull', '--tls-verify=false', name(source))
      await command(program, 'push', '--tls-verify=false', name(source), name(first))
      const [mounts, bytes] = [tap.mounts(), tap.uploadedBytes()]

      await command(program, 'push', '--tls-verify=false', name(source), name(second))

      expect(tap.mounts() - mounts).toBe(made.blobs.length - 1)
      // The configuration: this client always sends it.
      expect(tap.uploadedBytes() - bytes).toBeLessThan(5_000)
      expect(await manifestStatus(second, '1')).toBe(200)
    })

    it('pushes a manifest list with all its images', async ({ server, command, repository }) => {
      const [from, to] = [repository('from'), repository('to')]
      const made = multiArch({ seed: `${program} list` })
      await pushImage(from, made, '1')
      const list = `localhost/${program}-list`

      await command(program, 'manifest', 'create', list)
      const source = `docker://${server.host}/${from.name}:1`
      await command(program, 'manifest', 'add', '--all', '--tls-verify=false', list, source)
      const target = `docker://${server.host}/${to.name}:1`
      await command(program, 'manifest', 'push', '--all', '--tls-verify=false', list, target)

      const pushed = await pullDigests(to, '1')
      expect(pushed.all).toEqual(expect.arrayContaining([...made.children.flatMap(digestsOf)]))
    })
  })
}

describeClient(['podman'], () => {
  it('imports files as an image and pushes it with zstd layers', async ({
    server,
    sandbox,
    command,
    repository,
  }) => {
    const app = repository('app')
    const name = `${server.host}/${app.name}:1`
    await writeFile(sandbox.path('rootfs.tar'), tar({ file: Buffer.from('text') }))

    await command('podman', 'import', sandbox.path('rootfs.tar'), name)
    await command('podman', 'push', '--tls-verify=false', '--format=oci', '--compression-format=zstd', name)

    const answer = await fetch(`${app.address}/v2/${app.name}/manifests/1`, {
      headers: { Accept: 'application/vnd.oci.image.manifest.v1+json' },
    })
    expect(await answer.json()).toMatchObject({
      layers: [{ mediaType: expect.stringMatching(/tar\+zstd$/) }],
    })
  })

  it('finds repositories by search', async ({ server, command, repository, skip }) => {
    if (!server.isOurs) skip('TEST_REGISTRY names a registry that may not search')
    const app = repository('needle')
    await pushImage(app, image({ seed: 'podman search', layers: [10] }), '1')

    const found = await command('podman', 'search', '--tls-verify=false', `${server.host}/needle`)
    expect(found).toContain(`${server.host}/${app.name}`)
  })
})
