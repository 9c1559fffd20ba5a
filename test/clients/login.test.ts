/** Clients that log in, and what they may then: one registry, two people, one public repository. */
import { writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { openFolder } from '../../storage/open.ts'
import { password, setAccess, storedRules, storedUser } from '../helpers/access.ts'
import { describeClient } from '../helpers/clients.ts'
import { image } from '../helpers/images.ts'
import type { Program } from '../helpers/obstacles.ts'
import { openSandbox, type Sandbox } from '../helpers/sandbox.ts'
import { startServer } from '../helpers/server.ts'

const it = test
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the names of fixtures from the pattern
  .extend('sandbox', async ({}, { onCleanup }) => {
    const sandbox = await openSandbox()
    onCleanup(() => sandbox[Symbol.asyncDispose]())
    return sandbox
  })
  .extend('server', async ({ sandbox }, { onCleanup }) => {
    const data = sandbox.path('data')
    const { store, close } = await openFolder(data, 'server', { durability: 'relaxed' })
    await setAccess(store, {
      users: ['writer', 'reader'].map(each => storedUser(each)),
      rules: storedRules('delete ** writer', 'pull team/** reader', 'pull public/** anyone'),
    })
    await close()
    const server = await startServer({ data })
    onCleanup(() => server[Symbol.asyncDispose]())
    return server
  })

/** How each logs in, copies what is in a layout, copies within the registry, and lists tags. */
interface Client {
  login(host: string, user: string, secret: string): readonly string[]
  logout(host: string): readonly string[]
  push(layout: string, to: string): readonly string[]
  copy(from: string, to: string): readonly string[]
  tags(name: string): readonly string[]
}

const skopeoTls = ['--src-tls-verify=false', '--dest-tls-verify=false']
const clients: Partial<Record<Program, Client>> = {
  skopeo: {
    login: (host, user, secret) => ['login', '--tls-verify=false', '-u', user, '-p', secret, host],
    logout: host => ['logout', host],
    push: (layout, to) => ['copy', ...skopeoTls, `oci:${layout}:1`, `docker://${to}`],
    copy: (from, to) => ['copy', ...skopeoTls, `docker://${from}`, `docker://${to}`],
    tags: name => ['list-tags', '--tls-verify=false', `docker://${name}`],
  },
  crane: {
    login: (host, user, secret) => ['auth', 'login', '-u', user, '-p', secret, host],
    logout: host => ['auth', 'logout', host],
    push: (layout, to) => ['push', '--insecure', layout, to],
    copy: (from, to) => ['copy', '--insecure', from, to],
    tags: name => ['ls', name],
  },
  regctl: {
    login: (host, user, secret) => ['registry', 'login', '-u', user, '-p', secret, host],
    logout: host => ['registry', 'logout', host],
    push: (layout, to) => ['image', 'copy', `ocidir://${layout}:1`, to],
    copy: (from, to) => ['image', 'copy', from, to],
    tags: name => ['tag', 'ls', name],
  },
}

async function layoutIn(sandbox: Sandbox): Promise<string> {
  const made = image({ seed: 'login', layers: [100_000] })
  const folder = sandbox.path('layout')
  await sandbox.run('mkdir', ['-p', `${folder}/blobs/sha256`])
  for (const { descriptor, bytes } of [made, ...made.blobs])
    await writeFile(`${folder}/blobs/sha256/${descriptor.digest.slice('sha256:'.length)}`, bytes)
  await writeFile(`${folder}/oci-layout`, '{"imageLayoutVersion":"1.0.0"}')
  const annotations = { 'org.opencontainers.image.ref.name': '1' }
  const manifests = [{ ...made.descriptor, annotations }]
  await writeFile(`${folder}/index.json`, JSON.stringify({ schemaVersion: 2, manifests }))
  return folder
}

// The keys of the table are programs.
for (const [program, client] of Object.entries(clients))
  describeClient([program as Program], () => {
    it('logs in, or is told that it cannot, and may what the rules say', async ({ server, sandbox }) => {
      const { host } = server
      const run = (args: readonly string[]) => sandbox.run(program, args)
      if (program === 'regctl') await run(['registry', 'set', '--tls', 'disabled', '--skip-check', host])
      const layout = await layoutIn(sandbox)
      // crane keeps a password and asks nobody whether it is right.
      const wrongLogin = run(client.login(host, 'writer', 'not the password'))
      const wrongUse = wrongLogin.then(() => run(client.tags(`${host}/team/app`)))
      await expect(wrongUse).rejects.toThrow(/unauthorized|invalid|incorrect|401/i)
      await run(client.login(host, 'writer', password))
      await run(client.push(layout, `${host}/team/app:1`))
      await run(client.copy(`${host}/team/app:1`, `${host}/public/app:1`))
      await run(client.copy(`${host}/team/app:1`, `${host}/secret/app:1`))
      const mounted = { operation: 'mountBlob', status: 201, who: 'user:writer', by: 'issued' }
      await expect.poll(() => server.log).toContainEqual(expect.objectContaining(mounted))

      await run(client.login(host, 'reader', password))
      expect(await run(client.tags(`${host}/team/app`))).toContain('1')
      for (const args of [
        client.tags(`${host}/secret/app`),
        client.tags(`${host}/missing/app`),
        client.copy(`${host}/team/app:1`, `${host}/team/app:2`),
      ])
        await expect(run(args)).rejects.toThrow(/denied|unauthorized/i)

      await run(client.logout(host))
      expect(await run(client.tags(`${host}/public/app`))).toContain('1')
      await expect(run(client.tags(`${host}/team/app`))).rejects.toThrow(/denied|unauthorized/i)
      expect(server.log.some(({ status }) => Number(status) >= 500)).toBe(false)
    })
  })
