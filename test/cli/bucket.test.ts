/** The commands over a bucket: what they do, and what they say where they can do nothing. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { kill } from 'node:process'
import { expect, onTestFinished } from 'vitest'
import { basic } from '../helpers/access.ts'
import { administered } from '../helpers/administered.ts'
import { bucketAt, bucketVariables } from '../helpers/buckets.ts'
import { emptyIndex, image } from '../helpers/images.ts'
import { primaryOf } from '../helpers/processes.ts'
import { manifestStatus, pullDigests, pushImage } from '../helpers/push.ts'
import { describeEngines } from '../helpers/s3-engine.ts'
import { startS3Proxy } from '../helpers/s3-proxy.ts'
import { scriptedServer } from '../helpers/scripted-server.ts'
import { startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'
import { soon } from '../helpers/waiting.ts'

const anyPort = '--listen 127.0.0.1:0'
const lastLines = (text: string, count: number) => text.trimEnd().split('\n').slice(-count)

async function served(variables: Readonly<Record<string, string>>, args: readonly string[] = []) {
  const server = await startServer({ env: { SLIPWAY_WORKERS: '2', ...variables }, args })
  onTestFinished(() => server[Symbol.asyncDispose]())
  const ask = (path: string, authorization?: string, init: RequestInit = {}) =>
    fetch(new URL(path, server.address), {
      ...init,
      headers: { ...init.headers, ...(authorization && { authorization }) },
    }).then(async answer => {
      await answer.bytes()
      return answer.status
    })
  return { ...server, ask }
}

describeEngines(it => {
  it('say what is there, and change nothing', async ({ engine, bucket }) => {
    const { done } = administered(undefined, bucketVariables(engine, bucket))
    const tier = engine.name === 'versitygw' ? 'A' : 'B'
    const seen = bucketAt(engine, bucket)
    const text = await done(`check ${anyPort}`)
    expect(text).toContain(`\nstorage.s3.bucket                  s3://${bucket}`)
    expect(text).toMatch(new RegExp(`^ +empty; serve starts a registry in it; tier ${tier}$`, 'm'))
    expect(text).toMatch(/^storage\.s3\.secret_access_key +set +\(SLIPWAY_STORAGE_S3_SECRET_ACCESS_KEY\)$/m)
    expect(text).toMatch(/^data +not used with a bucket +\(SLIPWAY_DATA\)$/m)
    const json = JSON.parse(await done(`check --json ${anyPort}`))
    expect(json).toMatchObject({
      ok: true,
      storage: { kind: 'bucket', name: `s3://${bucket}`, state: 'empty', tier },
      settings: {
        storage: {
          s3: {
            bucket: { name: bucket, prefix: '' },
            accessKeyId: engine.accessKeyId,
            hasSecretAccessKey: true,
          },
        },
      },
    })
    expect(json.warnings).toEqual([expect.stringMatching(/^default: url: a bucket may have many servers/)])
    expect((await seen.list('', { ...soon(), limit: 10 })).entries).toEqual([])
    await done('user add root --admin')
    expect(await done(`check ${anyPort}`)).toMatch(new RegExp(`^ +a registry; tier ${tier}$`, 'm'))
  }, 40_000)

  it('say what is wrong, and what to do', async ({ engine, bucket }) => {
    const { secretAccessKey, accessKeyId, region } = engine
    const usual = bucketVariables(engine, bucket)
    const at = (name: string) => `bucket s3://${name}`
    const cases: readonly (readonly [name: string, text: string, line: string])[] = [
      [
        'BUCKET',
        'no-such-bucket',
        `${at('no-such-bucket')} is not there, at ${engine.endpoint.origin}: make it, or name another with --storage`,
      ],
      [
        'SECRET_ACCESS_KEY',
        `${secretAccessKey.slice(1)}0`,
        `${at(bucket)} takes the secret for a wrong one: see storage.s3.secret_access_key_file, or secret_access_key`,
      ],
      [
        'ACCESS_KEY_ID',
        `${accessKeyId}0`,
        `${at(bucket)} does not know the access key: see storage.s3.access_key_id`,
      ],
      [
        'REGION',
        `${region}0`,
        `${at(bucket)} is in the region ${region}, not in ${region}0: see storage.s3.region`,
      ],
      [
        'ENDPOINT',
        'http://127.0.0.1:1',
        `${at(bucket)} cannot be reached, as http://127.0.0.1:1 does not answer (ECONNREFUSED): start it, or see storage.s3.endpoint`,
      ],
      [
        'ENDPOINT',
        `https://${engine.endpoint.host}`,
        `${at(bucket)} cannot be reached, as https://${engine.endpoint.host} does not speak TLS (EPROTO): write http:// in storage.s3.endpoint, or name its port for TLS`,
      ],
    ]
    for (const [name, text, line] of cases) {
      const { run } = administered(undefined, { ...usual, [`SLIPWAY_STORAGE_S3_${name}`]: text })
      const [check, serve, list, add] = await Promise.all(
        [`check ${anyPort}`, `serve ${anyPort}`, 'user list', 'user add root --admin'].map(each => run(each)),
      )
      expect([check?.status, lastLines(check?.stdout ?? '', 2)]).toEqual([
        3,
        [line, '1 fault: serve would refuse to start'],
      ])
      for (const each of [serve, list, add])
        expect(each).toEqual({ status: 1, stdout: '', stderr: `slipway: ${line}\n` })
    }
  }, 60_000)
})

describeEngines(
  it => {
    it('administer a registry before there is a server, and beside it', async ({ engine, bucket }) => {
      const variables = bucketVariables(engine, `s3://${bucket}/team/registry`)
      const { done, run } = administered(undefined, variables)
      const password = await done('user add root --admin')
      await done('robot add ci')
      const token = await done('token create --robot ci')
      const rule = await done(`access add 'push app/** robot:ci'`)
      await done(`protect add 'immutable app/**:v*'`)
      await done('keys rotate')
      expect(await done('audit verify')).toMatch(/^intact: 6 lines;/)

      const { address, ask } = await served(variables)
      const robot = basic('ci', token)
      expect(await ask('/v2/', basic('root', password))).toBe(200)
      expect(await ask('/v2/')).toBe(401)
      const { bytes, descriptor } = emptyIndex('one')
      const push = (tag: string, seed = 'one') =>
        ask(`/v2/app/x/manifests/${tag}`, robot, {
          method: 'PUT',
          headers: { 'Content-Type': descriptor.mediaType },
          body: new Uint8Array(seed === 'one' ? bytes : emptyIndex(seed).bytes),
        })
      expect([await push('v1'), await push('v1', 'two')]).toEqual([201, 403])

      await done(`access remove ${rule.split(' ')[0]}`)
      await until(
        'another process has seen that the rule is gone',
        async () => (await push('v2')) === 401 || (await push('v2')) === 403,
      )
      await done('user add alice --admin')
      await done('keys rotate')
      expect(await done('audit')).toMatch(/user\.add +user:alice/)
      expect(await done('audit verify')).toMatch(/^intact:/)
      expect(await done(`check ${anyPort}`)).toMatch(/^ok: serve would start$/m)
      const { host } = new URL(address)
      expect(lastLines(await done(`check --listen ${host}`), 1)).toEqual([
        `ok: a registry answers at ${host}, which may be that of this bucket; another serve would be refused until it ends`,
      ])
      const inUse = `${host} is in use: stop that server, or choose another with --listen`
      expect(await run(`serve --listen ${host}`)).toEqual({
        status: 1,
        stdout: '',
        stderr: `slipway: ${inUse}\n`,
      })
      await using stranger = await scriptedServer(() => ({ body: 'ok' }))
      const check = await run(`check --listen ${stranger.host}`)
      expect([check.status, lastLines(check.stdout, 2)]).toEqual([
        3,
        [inUse.replace(host, stranger.host), '1 fault: serve would refuse to start'],
      ])
    }, 60_000)

    it('take the secret from a file', async ({ engine, bucket }) => {
      const { SLIPWAY_STORAGE_S3_SECRET_ACCESS_KEY: secret = '', ...variables } = bucketVariables(
        engine,
        bucket,
      )
      const named = { ...variables, SLIPWAY_STORAGE_S3_SECRET_ACCESS_KEY_FILE: 'secret' }
      const { cwd, done, run } = administered(undefined, named)
      writeFileSync(join(cwd, 'secret'), `${secret}\n`)
      await done('user add root --admin --log-level debug')
      const { log } = await served(
        { ...named, SLIPWAY_STORAGE_S3_SECRET_ACCESS_KEY_FILE: join(cwd, 'secret') },
        ['--log-level', 'debug'],
      )
      expect(log.find(({ msg }) => msg === 'listening')).toMatchObject({ data: `s3://${bucket}` })
      writeFileSync(join(cwd, 'secret'), '')
      const fault = `SLIPWAY_STORAGE_S3_SECRET_ACCESS_KEY_FILE: storage.s3.secret_access_key_file: ${join(cwd, 'secret')}: expected one line with the secret`
      expect(await run('user list')).toEqual({ status: 1, stdout: '', stderr: `slipway: ${fault}\n` })
    }, 40_000)

    it('refuse what is no registry, or a newer one, and leave it as it is', async ({ engine, bucket }) => {
      const seen = bucketAt(engine, bucket)
      await seen.put('foreign/holiday.jpg', Buffer.from('x'), soon())
      await seen.put('newer/format.json', Buffer.from('{"layout":1,"id":"x","min_reader":9}'), soon())
      await seen.put('damaged/format.json', Buffer.from('x'), soon())
      await seen.put('left/probe/x', Buffer.from('x'), soon())
      for (const [prefix, line] of [
        ['foreign', 'NAME holds other objects (holiday.jpg): name an empty bucket or prefix with --storage'],
        ['newer', 'NAME was written by a newer slipway (format 9): update slipway'],
        ['damaged', 'format.json in NAME is damaged: restore it from a backup'],
      ] as const) {
        const name = `s3://${bucket}/${prefix}`
        const { run } = administered(undefined, bucketVariables(engine, name))
        const told = line.replace('NAME', name)
        const lines = [`check ${anyPort}`, `serve ${anyPort}`, 'user list', 'user add root --admin']
        const [check, ...rest] = await Promise.all(lines.map(each => run(each)))
        expect(lastLines(check?.stdout ?? '', 2)).toEqual([told, '1 fault: serve would refuse to start'])
        for (const each of rest) expect(each).toEqual({ status: 1, stdout: '', stderr: `slipway: ${told}\n` })
        expect((await seen.list(`${prefix}/`, { ...soon(), limit: 10 })).entries).toHaveLength(1)
      }
      const { run } = administered(undefined, bucketVariables(engine, `s3://${bucket}/empty`))
      expect(await run('user list')).toMatchObject({
        status: 1,
        stderr: `slipway: there is no registry in s3://${bucket}/empty: name its bucket with --storage, or begin with slipway user add NAME --admin\n`,
      })
      const left = administered(undefined, bucketVariables(engine, `s3://${bucket}/left`))
      await left.done('user add root --admin')
    }, 60_000)

    it('protect nothing where nothing can be compared and set, and do all else', async ({
      engine,
      bucket,
    }) => {
      await using lax = await startS3Proxy(engine, { ignoresConditions: ({ method }) => method !== 'GET' })
      const variables = bucketVariables(lax, bucket)
      const protection = 'immutable **:v*'
      const refused = `protect: "${protection}" cannot be kept, as the bucket cannot compare and set (tier C): remove it, or use another store`
      const { cwd, run } = administered(undefined, variables)
      const config = join(cwd, 'slipway.yaml')
      writeFileSync(config, `protect: ['${protection}']\n`)
      expect(await run(`serve ${anyPort}`)).toEqual({
        status: 1,
        stdout: '',
        stderr: `slipway: ${refused}\n`,
      })
      expect(lastLines((await run(`check ${anyPort}`)).stdout, 2)).toEqual([
        refused,
        '1 fault: serve would refuse to start',
      ])

      writeFileSync(config, 'sparse: any\n')
      const { address, log, ask, ...server } = await served(variables, ['--config', config])
      const repository = { address, name: 'team/app' }
      const pushed = image({ seed: 'lax', layers: [100, 100_000] })
      await pushImage(repository, pushed, 'v1')
      await pushImage(repository, pushed, 'v1')
      expect((await pullDigests(repository, 'v1')).top).toBe(pushed.descriptor.digest)
      const { bytes, descriptor } = emptyIndex('other')
      const put = (headers: Readonly<Record<string, string>>) =>
        ask('/v2/team/app/manifests/v1', undefined, {
          method: 'PUT',
          headers: { 'Content-Type': descriptor.mediaType, ...headers },
          body: new Uint8Array(bytes),
        })
      expect(await put({ 'If-None-Match': '*' })).toBe(501)
      expect(await put({ 'If-Match': `"${pushed.descriptor.digest}"` })).toBe(501)
      expect((await pullDigests(repository, 'v1')).top).toBe(pushed.descriptor.digest)
      expect(await put({})).toBe(201)
      expect(await ask('/v2/team/app/manifests/v1', undefined, { method: 'DELETE' })).toBe(202)
      expect(await manifestStatus(repository, 'v1')).toBe(404)

      writeFileSync(config, `sparse: any\nprotect: ['${protection}']\n`)
      kill(primaryOf(server), 'SIGHUP')
      await until('it has refused', () => log.some(({ msg }) => msg === 'settings refused'))
      expect(log.find(({ msg }) => msg === 'settings refused')).toMatchObject({ faults: [refused] })
      writeFileSync(config, '')
      const protecting = await run(`protect add '${protection}'`)
      expect(protecting.status).not.toBe(0)
      expect(protecting.stderr).toMatch(/cannot compare and set/)
      expect((await run('user add root --admin')).status).toBe(0)
      expect((await run('protect list --json')).stdout).not.toContain('immutable')
    }, 60_000)
  },
  ['versitygw'],
)
