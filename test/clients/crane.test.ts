import { writeFile } from 'node:fs/promises'
import { expect } from 'vitest'
import { describeClient, it } from '../helpers/clients.ts'
import { image, multiArch } from '../helpers/images.ts'
import { manifestStatus, pushImage, tagsOf } from '../helpers/push.ts'
import { openTap } from '../helpers/tap.ts'

describeClient(['crane'], () => {
  it.for([
    ['an image', image({ seed: 'crane validate' })],
    ['a multi-arch index', multiArch({ seed: 'crane validate' })],
    ['a schema 2 manifest list', multiArch({ seed: 'crane validate', dialect: 'docker' })],
  ] as const)('finds %s valid', async ([, made], { server, sandbox, repository }) => {
    const app = repository('app')
    await pushImage(app, made, '1')

    const reference = `${server.host}/${app.name}:1`
    expect(await sandbox.run('crane', ['--insecure', 'validate', '--remote', reference])).toBe(
      `PASS: ${reference}\n`,
    )
  })

  it('tags what is there without moving a blob', async ({ server, sandbox, repository }) => {
    const app = repository('app')
    const made = image({ seed: 'crane tag' })
    await pushImage(app, made, '1')
    await using tap = await openTap(server.host)

    await sandbox.run('crane', ['--insecure', 'tag', `${tap.host}/${app.name}:1`, 'stable'])

    expect(tap.uploadedBytes()).toBe(0)
    const digest = await sandbox.run('crane', ['--insecure', 'digest', `${server.host}/${app.name}:stable`])
    expect(digest.trim()).toBe(made.descriptor.digest)
  })

  it('appends a layer to an image that is there', async ({ server, sandbox, repository }) => {
    const app = repository('app')
    const [base, extra] = [image({ seed: 'base' }), image({ seed: 'extra', layers: [5_000] })]
    await pushImage(app, base, 'base')
    const layer = sandbox.path('extra.tar.gz')
    await writeFile(layer, extra.blobs[1]?.bytes ?? '')
    const places = [
      '--base',
      `${server.host}/${app.name}:base`,
      '--new_tag',
      `${server.host}/${app.name}:more`,
    ]

    await sandbox.run('crane', ['--insecure', 'append', ...places, '--new_layer', layer])

    await sandbox.run('crane', ['--insecure', 'validate', '--remote', `${server.host}/${app.name}:more`])
  })

  it('deletes a tag and leaves the manifest', async ({ server, sandbox, repository }) => {
    const app = repository('app')
    const made = image({ seed: 'crane untag', layers: [10] })
    for (const tag of ['1', '2']) await pushImage(app, made, tag)

    await sandbox.run('crane', ['--insecure', 'delete', `${server.host}/${app.name}:1`])

    expect(await tagsOf(app)).toEqual(['2'])
    expect(await manifestStatus(app, made.descriptor.digest)).toBe(200)
  })
})
