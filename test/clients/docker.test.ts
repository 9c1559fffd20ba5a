import { mkdir, writeFile } from 'node:fs/promises'
import { expect } from 'vitest'
import { it as base, describeClient } from '../helpers/clients.ts'
import { dockerHost, startDockerd } from '../helpers/dockerd.ts'
import { digestsOf, image, multiArch, randomBytes } from '../helpers/images.ts'
import { pullDigests, pushImage } from '../helpers/push.ts'
import { openTap } from '../helpers/tap.ts'
import { tar } from '../helpers/tar.ts'

/** Runs `docker` against a daemon of this file's own, which touches no network. */
const it = base.extend('docker', { scope: 'file' }, async ({ sandbox }, { onCleanup }) => {
  const docker = (args: readonly string[], input?: Buffer) =>
    sandbox.run('docker', args, {
      env: { DOCKER_HOST: dockerHost(sandbox), DOCKER_BUILDKIT: '0' },
      ...(input && { input }),
    })
  const daemon = await startDockerd(sandbox)
  onCleanup(() => daemon[Symbol.asyncDispose]())
  return docker
})

describeClient(['docker', 'dockerd'], () => {
  it('builds an image from scratch, pushes it and pulls it back', async ({
    docker,
    server,
    sandbox,
    repository,
  }) => {
    const app = repository('app')
    const name = `${server.host}/${app.name}:1`
    await mkdir(sandbox.path('context'))
    await writeFile(sandbox.path('context', 'data'), randomBytes('docker', 4_000_000))
    await writeFile(
      sandbox.path('context', 'Dockerfile'),
      'FROM scratch\nCOPY data /data\nENTRYPOINT ["/data"]\n',
    )

    await docker(['build', '--tag', name, sandbox.path('context')])
    const pushed = /digest: (\S+)/.exec(await docker(['push', name]))
    await docker(['rmi', name])
    const pulled = /Digest: (\S+)/.exec(await docker(['pull', name]))

    expect(pulled?.[1]).toBe(pushed?.[1])
    expect((await pullDigests(app, '1')).top).toBe(pushed?.[1])
  })

  it.for([
    ['an image', image({ seed: 'docker' })],
    ['a schema 2 image', image({ seed: 'docker', dialect: 'docker' })],
    ['its platform of a multi-arch index', multiArch({ seed: 'docker' })],
    ['its platform of a schema 2 manifest list', multiArch({ seed: 'docker', dialect: 'docker' })],
  ] as const)('pulls %s by tag and by digest', async ([, made], { docker, server, repository }) => {
    const app = repository('app')
    await pushImage(app, made, '1')
    const name = `${server.host}/${app.name}`

    expect(await docker(['pull', `${name}:1`])).toContain(`Digest: ${made.descriptor.digest}`)
    await docker(['rmi', `${name}:1`])
    expect(await docker(['pull', `${name}@${made.descriptor.digest}`])).toContain('Downloaded newer image')
  })

  it('mounts layers when it pushes to a second repository', async ({ docker, server, repository }) => {
    const [first, second] = [repository('first'), repository('second')]
    await using tap = await openTap(server.host)
    const names = [`${tap.host}/${first.name}:1`, `${tap.host}/${second.name}:1`] as const
    await docker(['import', '-', names[0]], tar({ data: randomBytes('docker mount', 3_000_000) }))
    await docker(['push', names[0]])
    const bytes = tap.uploadedBytes()

    await docker(['tag', ...names])
    expect(await docker(['push', names[1]])).toContain(`Mounted from ${first.name}`)

    expect(tap.mounts()).toBe(1)
    expect(tap.uploadedBytes() - bytes).toBeLessThan(5_000)
  })

  it('pushes all tags of a repository', async ({ docker, server, repository }) => {
    const app = repository('app')
    const names = ['1', '2'].map(tag => `${server.host}/${app.name}:${tag}`)
    for (const [at, name] of names.entries()) {
      await docker(['import', '-', name], tar({ data: randomBytes(`docker all ${at}`, 1_000) }))
    }

    await docker(['push', '--all-tags', `${server.host}/${app.name}`])

    expect((await pullDigests(app, '1')).top).not.toBe((await pullDigests(app, '2')).top)
  })

  it('makes a manifest list of images that are there', async ({ docker, server, repository }) => {
    const app = repository('app')
    const made = multiArch({ seed: 'docker manifest', dialect: 'docker', layers: [1_000] })
    await pushImage(app, made, 'source')
    const name = `${server.host}/${app.name}`
    const parts = made.children.map(child => `${name}@${child.descriptor.digest}`)

    await docker(['manifest', 'create', '--insecure', `${name}:list`, ...parts])
    await docker(['manifest', 'push', '--insecure', `${name}:list`])

    const below = made.children.flatMap(digestsOf)
    expect((await pullDigests(app, 'list')).all).toEqual(expect.arrayContaining(below))
  })

  it('finds repositories by search', async ({ docker, server, repository, skip }) => {
    if (!server.isOurs) skip('TEST_REGISTRY names a registry that may not search')
    const app = repository('needle')
    await pushImage(app, image({ seed: 'docker search', layers: [10] }), '1')

    const found = await docker(['search', `localhost:${new URL(server.address).port}/needle`])
    expect(found).toContain(app.name)
  })
})
