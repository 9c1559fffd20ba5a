import { expect } from 'vitest'
import { describeClient, it } from '../helpers/clients.ts'
import { digestsOf, image, mediaTypes, multiArch } from '../helpers/images.ts'
import { readLayout } from '../helpers/layout.ts'
import { manifestStatus, pullDigests, pushImage, tagsOf } from '../helpers/push.ts'

const insecureCopy = ['copy', '--src-tls-verify=false', '--dest-tls-verify=false']

describeClient(['skopeo'], () => {
  it('takes a schema 2 manifest list to a folder and back', async ({ server, sandbox, repository }) => {
    const made = multiArch({ seed: 'skopeo list', dialect: 'docker' })
    const [from, to] = [repository('from'), repository('to')]
    await pushImage(from, made, '1')

    const folder = `dir:${sandbox.path('list')}`
    await sandbox.run('skopeo', [...insecureCopy, '--all', `docker://${server.host}/${from.name}:1`, folder])
    await sandbox.run('skopeo', [...insecureCopy, '--all', folder, `docker://${server.host}/${to.name}:1`])

    expect(await pullDigests(to, '1')).toEqual({ top: made.descriptor.digest, all: digestsOf(made) })
  })

  it.for([
    ['docker', 'oci', 'oci'],
    ['oci', 'docker', 'v2s2'],
  ] as const)('converts a %s image to %s', async ([from, to, format], { server, sandbox, repository }) => {
    const app = repository('app')
    const made = image({ seed: 'skopeo convert', dialect: from })
    await pushImage(app, made, '1')
    const name = `docker://${server.host}/${app.name}`

    await sandbox.run('skopeo', [...insecureCopy, '--format', format, `${name}:1`, `${name}:2`])

    const raw = await sandbox.run('skopeo', ['inspect', '--raw', '--tls-verify=false', `${name}:2`])
    expect(JSON.parse(raw)).toMatchObject({ mediaType: mediaTypes[to].manifest })
    const layers = made.blobs.slice(1).map(blob => blob.descriptor.digest)
    expect((await pullDigests(app, '2')).all).toEqual(expect.arrayContaining(layers))
  })

  it('pulls by digest, and one platform of an index', async ({ server, sandbox, repository }) => {
    const app = repository('app')
    const made = multiArch({ seed: 'skopeo platform' })
    await pushImage(app, made, '1')
    const name = `docker://${server.host}/${app.name}@${made.descriptor.digest}`

    await sandbox.run('skopeo', [
      '--override-arch=arm64',
      ...insecureCopy,
      name,
      `oci:${sandbox.path('arm64')}:1`,
    ])

    const arm64 = made.children[1]
    expect((await readLayout(sandbox.path('arm64'))).digests).toEqual(arm64 && digestsOf(arm64))
  })

  it('deletes what a tag names', async ({ server, sandbox, repository }) => {
    const app = repository('app')
    const [kept, removed] = [image({ seed: 'kept', layers: [10] }), image({ seed: 'removed', layers: [10] })]
    await pushImage(app, kept, 'kept')
    await pushImage(app, removed, 'removed')

    await sandbox.run('skopeo', [
      'delete',
      '--tls-verify=false',
      `docker://${server.host}/${app.name}:removed`,
    ])

    expect(await manifestStatus(app, removed.descriptor.digest)).toBe(404)
    expect(await tagsOf(app)).toEqual(['kept'])
  })

  it('syncs all tags of a repository', async ({ server, sandbox, repository }) => {
    const app = repository('app')
    const made = ['1', '2'].map(tag => image({ seed: `sync ${tag}`, layers: [1000] }))
    for (const [at, each] of made.entries()) await pushImage(app, each, `v${at}`)

    const target = repository('mirror')
    const tls = ['--src-tls-verify=false', '--dest-tls-verify=false']
    const places = [`${server.host}/${app.name}`, `${server.host}/${target.name}`]
    await sandbox.run('skopeo', ['sync', '--src=docker', '--dest=docker', ...tls, ...places])

    // The last component of the source is added to the target.
    const copied = { ...target, name: `${target.name}/app` }
    expect(await tagsOf(copied)).toEqual(['v0', 'v1'])
    for (const [at, each] of made.entries()) {
      expect(await pullDigests(copied, `v${at}`)).toEqual({
        top: each.descriptor.digest,
        all: digestsOf(each),
      })
    }
  })
})
