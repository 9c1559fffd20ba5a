import { expect, it } from 'vitest'
import { registryClient } from '../../client/registry-client.ts'
import { parseReference } from '../../oci/names.ts'
import { digest, image, mediaTypes } from '../helpers/images.ts'
import { pushImage } from '../helpers/push.ts'
import { startRegistry } from '../helpers/registry.ts'
import { app, type Reply, scriptedServer } from '../helpers/scripted-server.ts'
import { io } from '../helpers/waiting.ts'

const manifestsAt = (host: string) =>
  registryClient(host, { credentials: async () => undefined }).repository(app).manifests
const made = image({ seed: 'manifest', layers: [100] })
const { mediaType, size, digest: sha } = made.descriptor
const type = { 'Content-Type': mediaType }
const one = parseReference('1')

it('reads, tags and removes what is there', async () => {
  await using registry = await startRegistry()
  const manifests = manifestsAt(new URL(registry.address).host)
  await pushImage({ address: registry.address, name: app }, made, '1')

  const found = await manifests.get(one, io)
  expect(found).toEqual({ digest: sha, mediaType, size, bytes: made.bytes })
  await manifests.put(parseReference('2'), found, io)
  expect(await manifests.head(parseReference('2'), io)).toEqual({ digest: sha, mediaType, size })
  await manifests.remove(one, io)
  expect(await manifests.head(one, io)).toBeUndefined()
  expect(await manifests.get(sha, io)).toEqual(found)
  await manifests.remove(sha, io)
  await expect(manifests.get(parseReference('2'), io)).rejects.toMatchObject({ status: 404 })
})

it('looks into a manifest of which the registry says nothing', async () => {
  await using server = await scriptedServer(() => ({ body: made.bytes, headers: type }))

  expect(await manifestsAt(server.host).head(one, io)).toMatchObject({ digest: sha, mediaType })
  expect(server.asked.map(({ method }) => method)).toEqual(['HEAD', 'GET'])
})

it('knows a manifest by SHA-512 too', async () => {
  await using server = await scriptedServer(() => ({ body: made.bytes, headers: type }))
  const long = digest(made.bytes, 'sha512')

  expect(await manifestsAt(server.host).get(long, io)).toMatchObject({ digest: long })
})

const other = image({ seed: 'other', layers: [100] })

it.for<[what: string, reference: string, reply: Reply, why: RegExp]>([
  [
    'has other bytes than its digest',
    sha,
    { body: other.bytes, headers: type },
    /holds other bytes than those of sha256:/,
  ],
  [
    'has other bytes than the registry says',
    '1',
    { body: other.bytes, headers: { ...type, 'Docker-Content-Digest': sha } },
    /holds other bytes than those of sha256:/,
  ],
  [
    'has a digest that is none',
    '1',
    { body: made.bytes, headers: { ...type, 'Docker-Content-Digest': 'md5:1' } },
    /invalid digest "md5:1"/,
  ],
  [
    'promises more than 4 MiB',
    '1',
    { headers: { 'Content-Length': '4194305' }, cut: true },
    /is longer than 4194304 bytes: refused$/,
  ],
  [
    'turns out to have more than 4 MiB',
    '1',
    {
      body: Buffer.alloc(4_194_305),
      chunked: true,
    },
    /is longer than 4194304 bytes: refused$/,
  ],
  [
    'is cut off',
    sha,
    { body: made.bytes.subarray(9), headers: { 'Content-Length': `${size}` }, cut: true },
    /was cut off: try again$/,
  ],
  ['is no JSON', '1', { body: 'hello', headers: type }, /manifest is not JSON$/],
  [
    'is of another type than it says',
    '1',
    { body: made.bytes, headers: { 'Content-Type': mediaTypes.oci.index } },
    /its Content-Type says/,
  ],
])('refuses a manifest that %s', async ([, reference, reply, why]) => {
  await using server = await scriptedServer(() => reply)

  await expect(manifestsAt(server.host).get(parseReference(reference), io)).rejects.toThrow(why)
})

it('notices that a registry has stored something else', async () => {
  const headers = { 'Docker-Content-Digest': other.descriptor.digest }
  await using server = await scriptedServer(() => ({ status: 201, headers }))
  const put = manifestsAt(server.host).put(one, { digest: sha, mediaType, size, bytes: made.bytes }, io)

  await expect(put).rejects.toThrow(`stored ${other.descriptor.digest} instead of ${sha}`)
})
