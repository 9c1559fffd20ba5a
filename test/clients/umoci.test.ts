import { readFile } from 'node:fs/promises'
import { expect } from 'vitest'
import { describeClient, it } from '../helpers/clients.ts'
import { image, randomBytes } from '../helpers/images.ts'
import { pullDigests, pushImage } from '../helpers/push.ts'

describeClient(['umoci', 'skopeo'], () => {
  it('unpacks what was pulled, and its change is pushed', async ({ server, sandbox, repository }) => {
    const app = repository('app')
    const made = image({ seed: 'umoci', layers: [3_000, 50_000] })
    await pushImage(app, made, '1')
    const [layout, bundle] = [sandbox.path('layout'), sandbox.path('bundle')]
    const name = `docker://${server.host}/${app.name}`

    await sandbox.run('skopeo', ['copy', '--src-tls-verify=false', `${name}:1`, `oci:${layout}:1`])
    await sandbox.run('umoci', ['unpack', '--image', `${layout}:1`, bundle])
    expect(await readFile(`${bundle}/rootfs/layer-1`)).toEqual(randomBytes('umoci 1', 50_000))

    await sandbox.run('umoci', [
      'config',
      '--image',
      `${layout}:1`,
      '--tag',
      '2',
      '--config.env',
      'CHANGED=yes',
    ])
    await sandbox.run('skopeo', ['copy', '--dest-tls-verify=false', `oci:${layout}:2`, `${name}:2`])

    const layers = made.blobs.slice(1).map(blob => blob.descriptor.digest)
    const pushed = await pullDigests(app, '2')
    expect(pushed.top).not.toBe(made.descriptor.digest)
    expect(pushed.all).toEqual(expect.arrayContaining(layers))
  })
})
