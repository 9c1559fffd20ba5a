/** Clients that copy images without keeping any: what each must be able to do here. */
import { expect } from 'vitest'
import { describeClient, it } from '../helpers/clients.ts'
import { digestsOf, type Image, image, multiArch } from '../helpers/images.ts'
import { readLayout, writeLayout } from '../helpers/layout.ts'
import type { Program } from '../helpers/obstacles.ts'
import { manifestStatus, pullDigests, pushImage, tagsOf } from '../helpers/push.ts'
import type { Sandbox } from '../helpers/sandbox.ts'
import { openTap } from '../helpers/tap.ts'

/** References are written as users write them: `127.0.0.1:5000/team/app:1`. A layout is a folder with the tag `1`. */
interface CopyClient {
  push(sandbox: Sandbox, layout: string, to: string): Promise<unknown>
  pull(sandbox: Sandbox, from: string, layout: string): Promise<unknown>
  copy(sandbox: Sandbox, from: string, to: string): Promise<unknown>
  tags(sandbox: Sandbox, repository: string): Promise<string>
  remove(sandbox: Sandbox, reference: string): Promise<unknown>
  catalog?(sandbox: Sandbox, host: string): Promise<string>
}

const skopeoCopy = [
  'copy',
  '--all',
  '--preserve-digests',
  '--src-tls-verify=false',
  '--dest-tls-verify=false',
]
/** Speaks plain HTTP to every registry of this machine. */
const regctl = (sandbox: Sandbox, host: string, args: readonly string[]) =>
  sandbox.run('regctl', ['--host', `reg=${host.split('/')[0]},tls=disabled`, ...args])
const crane = (sandbox: Sandbox, args: readonly string[]) => sandbox.run('crane', ['--insecure', ...args])

const clients = {
  skopeo: {
    push: (sandbox, layout, to) =>
      sandbox.run('skopeo', [...skopeoCopy, `oci:${layout}:1`, `docker://${to}`]),
    pull: (sandbox, from, layout) =>
      sandbox.run('skopeo', [...skopeoCopy, `docker://${from}`, `oci:${layout}:1`]),
    copy: (sandbox, from, to) => sandbox.run('skopeo', [...skopeoCopy, `docker://${from}`, `docker://${to}`]),
    tags: (sandbox, name) => sandbox.run('skopeo', ['list-tags', '--tls-verify=false', `docker://${name}`]),
    remove: (sandbox, reference) =>
      sandbox.run('skopeo', ['delete', '--tls-verify=false', `docker://${reference}`]),
  },
  crane: {
    push: (sandbox, layout, to) => crane(sandbox, ['push', layout, to]),
    pull: (sandbox, from, layout) => crane(sandbox, ['pull', '--format=oci', from, layout]),
    copy: (sandbox, from, to) => crane(sandbox, ['copy', from, to]),
    tags: (sandbox, name) => crane(sandbox, ['ls', name]),
    remove: (sandbox, reference) => crane(sandbox, ['delete', reference]),
    catalog: (sandbox, host) => crane(sandbox, ['catalog', host]),
  },
  regctl: {
    push: (sandbox, layout, to) => regctl(sandbox, to, ['image', 'copy', `ocidir://${layout}:1`, to]),
    pull: (sandbox, from, layout) => regctl(sandbox, from, ['image', 'copy', from, `ocidir://${layout}:1`]),
    copy: (sandbox, from, to) => regctl(sandbox, to, ['image', 'copy', from, to]),
    tags: (sandbox, name) => regctl(sandbox, name, ['tag', 'ls', name]),
    remove: (sandbox, reference) => regctl(sandbox, reference, ['manifest', 'delete', reference]),
    catalog: (sandbox, host) => regctl(sandbox, host, ['repo', 'ls', '--limit=1000', host]),
  },
} as const satisfies Partial<Record<Program, CopyClient>>

type Subject = (seed: string) => Image

const subjects: Readonly<Record<string, Subject>> = {
  'an image': (seed: string) => image({ seed }),
  'an image with a large configuration': (seed: string) => image({ seed, labels: 6_000 }),
  'a multi-arch index': (seed: string) =>
    multiArch({ seed, annotations: { 'org.example.made-by': 'a test' } }),
}

/** Not for skopeo, which finds no image of this dialect in a layout. */
const schema2: typeof subjects = {
  'a schema 2 image': (seed: string) => image({ seed, dialect: 'docker' }),
  'a schema 2 manifest list': (seed: string) => multiArch({ seed, dialect: 'docker' }),
}

for (const [program, client] of Object.entries(clients) as [keyof typeof clients, CopyClient][]) {
  describeClient([program], () => {
    const made = program === 'skopeo' ? subjects : { ...subjects, ...schema2 }
    it.for(Object.entries(made))(
      'pushes and pulls %s whole',
      async ([name, make], { server, sandbox, repository }) => {
        const made = make(`${program} ${name}`)
        const [pushed, pulled] = [
          sandbox.path(program, name, 'pushed'),
          sandbox.path(program, name, 'pulled'),
        ]
        const app = repository('app')
        await writeLayout(pushed, made, '1')

        await client.push(sandbox, pushed, `${server.host}/${app.name}:1`)
        await client.pull(sandbox, `${server.host}/${app.name}:1`, pulled)

        expect(await pullDigests(app, '1')).toEqual({ top: made.descriptor.digest, all: digestsOf(made) })
        const { manifests, digests } = await readLayout(pulled)
        expect(manifests).toEqual([expect.objectContaining({ digest: made.descriptor.digest })])
        expect(digests).toEqual(digestsOf(made))
      },
    )

    it('copies between repositories without moving a layer', async ({ server, sandbox, repository }) => {
      const made = multiArch({ seed: `${program} copy` })
      const [from, to] = [repository('from'), repository('to')]
      const layout = sandbox.path(program, 'copy')
      await writeLayout(layout, made, '1')
      await using tap = await openTap(server.host)
      // What a client has pushed itself it knows where to mount from; skopeo mounts nothing else.
      await client.push(sandbox, layout, `${tap.host}/${from.name}:1`)
      const before = tap.uploadedBytes()

      await client.copy(sandbox, `${tap.host}/${from.name}:1`, `${tap.host}/${to.name}:2`)

      expect(await pullDigests(to, '2')).toEqual({ top: made.descriptor.digest, all: digestsOf(made) })
      expect(tap.mounts()).toBeGreaterThanOrEqual(3)
      expect(tap.uploadedBytes() - before).toBeLessThan(5_000)
    })

    it('pushes again without moving a layer', async ({ server, sandbox, repository }) => {
      const made = image({ seed: `${program} again` })
      const app = repository('app')
      const layout = sandbox.path(program, 'again')
      await writeLayout(layout, made, '1')
      await pushImage(app, made, '1')
      await using tap = await openTap(server.host)

      await client.push(sandbox, layout, `${tap.host}/${app.name}:2`)

      expect(tap.uploadedBytes()).toBe(0)
      expect(await tagsOf(app)).toEqual(['1', '2'])
    })

    it('lists tags and repositories', async ({ server, sandbox, repository }) => {
      const app = repository('app')
      const made = image({ seed: 'tags', layers: [100] })
      for (const tag of ['v1', 'v2.0', 'Latest_3']) await pushImage(app, made, tag)

      const words = (await client.tags(sandbox, `${server.host}/${app.name}`)).match(/[\w.]+/g)
      expect(words).toEqual(expect.arrayContaining(['Latest_3', 'v1', 'v2.0']))
      if (client.catalog) expect((await client.catalog(sandbox, server.host)).split('\n')).toContain(app.name)
    })

    it('deletes a manifest and with it the tags on it', async ({ server, sandbox, repository }) => {
      const app = repository('app')
      const [kept, removed] = [
        image({ seed: 'kept', layers: [100] }),
        image({ seed: 'removed', layers: [100] }),
      ]
      await pushImage(app, kept, 'kept')
      for (const tag of ['1', '2']) await pushImage(app, removed, tag)

      await client.remove(sandbox, `${server.host}/${app.name}@${removed.descriptor.digest}`)

      expect(await manifestStatus(app, removed.descriptor.digest)).toBe(404)
      expect(await manifestStatus(app, '1')).toBe(404)
      expect(await tagsOf(app)).toEqual(['kept'])
    })
  })
}
