import { expect } from 'vitest'
import { describeClient, it } from '../helpers/clients.ts'
import { artifact, digestsOf, image } from '../helpers/images.ts'
import { readLayout, writeLayout } from '../helpers/layout.ts'
import { manifestStatus, pullDigests, pushImage, tagsOf } from '../helpers/push.ts'
import type { RunOptions, Sandbox } from '../helpers/sandbox.ts'
import { openTap, type Tap } from '../helpers/tap.ts'

function regctl(
  sandbox: Sandbox,
  { host }: Pick<Tap, 'host'>,
  args: readonly string[],
  options?: RunOptions,
): Promise<string> {
  return sandbox.run('regctl', ['--host', `reg=${host},tls=disabled`, ...args], options)
}

describeClient(['regctl'], () => {
  it('deletes a tag and leaves the manifest', async ({ server, sandbox, repository }) => {
    const app = repository('app')
    const made = image({ seed: 'regctl untag', layers: [10] })
    for (const tag of ['1', '2']) await pushImage(app, made, tag)

    await regctl(sandbox, server, ['tag', 'delete', `${server.host}/${app.name}:1`])

    expect(await tagsOf(app)).toEqual(['2'])
    expect(await manifestStatus(app, made.descriptor.digest)).toBe(200)
  })

  it('finds artifacts by what they are about', async ({ server, sandbox, repository }) => {
    const app = repository('app')
    const subject = image({ seed: 'regctl subject', layers: [10] })
    await pushImage(app, subject, '1')
    await pushImage(app, artifact(subject, 'application/example.signature', 'signed'))
    const name = `${server.host}/${app.name}:1`
    const put = ['artifact', 'put', '--artifact-type=application/example.sbom', '--subject', name]

    await regctl(sandbox, server, put, { input: 'an sbom' })

    const list = async (...filter: string[]) => {
      const answer = await regctl(sandbox, server, ['artifact', 'list', '--format=raw-body', ...filter, name])
      const { manifests } = JSON.parse(answer) as { manifests: { artifactType: string }[] }
      return manifests.map(each => each.artifactType).sort()
    }
    expect(await list()).toEqual(['application/example.sbom', 'application/example.signature'])
    expect(await list('--filter-artifact-type=application/example.sbom')).toEqual([
      'application/example.sbom',
    ])
    // The registry answers for referrers; no client has to keep a list of them under a tag.
    expect(await tagsOf(app)).toEqual(['1'])
  })

  it('copies an image with its referrers', async ({ server, sandbox, repository }) => {
    const [from, to] = [repository('from'), repository('to')]
    const subject = image({ seed: 'regctl referrers', layers: [10] })
    const about = artifact(subject, 'application/example.sbom', 'an sbom')
    await pushImage(from, subject, '1')
    await pushImage(from, about)
    const places = [`${server.host}/${from.name}:1`, `${server.host}/${to.name}:1`]

    await regctl(sandbox, server, ['image', 'copy', '--referrers', ...places])

    expect((await pullDigests(to, about.descriptor.digest)).all).toEqual(digestsOf(about))
  })

  it('pushes an image of sha512 digests with its tag as a parameter, and pulls it', async ({
    server,
    sandbox,
    repository,
  }) => {
    const app = repository('app')
    const made = image({ seed: 'regctl sha512', layers: [1_000, 20_000], algorithm: 'sha512' })
    const { digest } = made.descriptor
    await writeLayout(sandbox.path('sha512'), made, '1')
    await using tap = await openTap(server.host)
    const name = `${tap.host}/${app.name}`

    await regctl(sandbox, tap, ['image', 'copy', `ocidir://${sandbox.path('sha512')}:1`, `${name}:1`])
    await regctl(sandbox, tap, ['image', 'copy', `${name}@${digest}`, `ocidir://${sandbox.path('back')}:1`])

    const writes = tap.exchanges.filter(each => each.method === 'PUT' && each.path.includes('/manifests/'))
    expect(writes.map(each => each.path)).toEqual([
      expect.stringMatching(/manifests\/sha512:\w{128}\?tag=1$/),
    ])
    expect(await tagsOf(app)).toEqual(['1'])
    expect((await pullDigests(app, digest)).all).toEqual(digestsOf(made))
    expect((await readLayout(sandbox.path('back'))).digests).toEqual(digestsOf(made))
  })

  it('reads a part of a layer', async ({ server, sandbox, repository }) => {
    const app = repository('app')
    const made = image({ seed: 'regctl file', layers: [9_000] })
    await pushImage(app, made, '1')

    const args = ['image', 'get-file', `${server.host}/${app.name}:1`, 'layer-0', sandbox.path('layer-0')]
    await regctl(sandbox, server, args)

    expect(await sandbox.run('wc', ['-c', sandbox.path('layer-0')])).toMatch(/^9000 /)
  })
})
