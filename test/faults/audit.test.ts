/** An audit that cannot be written (auth-security 3.3, row 48): nothing of who may do what changes; pushes go on and are told later. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { basic } from '../helpers/access.ts'
import { type Administered, administered } from '../helpers/administered.ts'
import { type HttpRequest, send } from '../helpers/http.ts'
import { mediaTypes } from '../helpers/images.ts'
import { startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

/** Each keeps the journal from being written, or from being read. */
const faults: readonly (readonly [string, (audit: string) => void])[] = [
  ['its last line is broken', audit => writeFileSync(join(audit, '0000000001'), '{"seq":1,"prev')],
  [
    'a file stands where its folder was',
    audit => {
      rmSync(audit, { recursive: true })
      writeFileSync(audit, '')
    },
  ],
  [
    'a folder stands where its lines were',
    audit => {
      rmSync(join(audit, '0000000001'))
      mkdirSync(join(audit, '0000000001'))
    },
  ],
]

const kept = ({ data }: Administered) =>
  ['access', 'keys'].map(name => readFileSync(join(data, 'secret', name), 'utf8'))

describe.for(faults)('where %s', ([, breakIt]) => {
  it('no command changes anything, and each says so', { timeout: 60_000 }, async () => {
    const registry = administered()
    const { data, done, run } = registry
    await done('user add alice --admin')
    await done('user add bob')
    await done('user add eve')
    await done('user disable eve')
    await done('robot add ci')
    const token = (await done('token create --robot ci')).slice(6, 16)
    const rule = await done("access add 'pull ** robot:ci'")
    const protection = await done("protect add 'frozen old/**'")
    const key = await done('keys rotate')
    breakIt(join(data, 'audit'))
    const before = kept(registry)
    const changes = [
      'user add carol --admin',
      'user passwd bob',
      'user disable bob',
      'user enable eve',
      'user remove bob',
      'robot add cd',
      'robot remove ci',
      'token create --robot ci',
      `token revoke ${token}`,
      "access add 'admin ** bob'",
      `access remove ${rule}`,
      "protect add 'no-delete a/**'",
      `protect remove ${protection}`,
      'keys rotate',
      `keys revoke ${key}`,
    ]
    const ended = await Promise.all(changes.map(async line => ({ line, ...(await run(line)) })))
    for (const { line, status, stdout, stderr } of ended) {
      expect([line, status]).toEqual([line, 1])
      expect(stderr).toMatch(/^slipway: nothing was changed, because the audit cannot be written: /m)
      // No password, token or id of what was not made.
      expect(stdout).toBe('')
    }
    expect(kept(registry)).toEqual(before)
  })
})

const isOurs = process.env.TEST_REGISTRY === undefined
const index = (text: string): HttpRequest => ({
  method: 'PUT',
  headers: { 'Content-Type': mediaTypes.oci.index },
  body: JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.oci.index,
    manifests: [],
    annotations: { text },
  }),
})

it.skipIf(!isOurs)(
  'pushes go on, the log says so, and each is told once when it can be',
  async () => {
    await using server = await startServer({ env: { SLIPWAY_WORKERS: '2' } })
    const { data, done, run } = administered(server.data)
    const authorization = basic('alice', await done('user add alice --admin'))
    const push = async (tag: string) => {
      const path = `/v2/team/app/manifests/${tag}`
      expect((await send(server.address, path, { ...index(tag), authorization })).status).toBe(201)
    }
    await push('before')
    const [audit, aside] = [join(data, 'audit'), join(data, 'aside')]
    const told = async () =>
      (await done('audit --json'))
        .split('\n')
        .map(line => JSON.parse(line) as { action: string; target?: string })
        .flatMap(({ action, target }) => (action === 'push' && target ? [target] : []))
    await until('the first is told', async () => (await told()).length === 1)
    renameSync(audit, aside)
    writeFileSync(audit, '')
    const tags = Array.from({ length: 10 }, (_, at) => `meanwhile-${at}`)
    await Promise.all(tags.map(push))
    await until('the log says so', () =>
      server.log.some(({ msg, job }) => msg === 'job failed' && job === 'audit'),
    )
    expect(await run('robot add ci')).toMatchObject({ status: 1 })
    rmSync(audit)
    renameSync(aside, audit)
    await until('all are told', async () => (await told()).length > tags.length)
    await push('after')
    await server.stop()
    const targets = ['before', ...tags, 'after'].map(tag => `team/app:${tag}`)
    expect((await told()).toSorted()).toEqual(targets.toSorted())
    expect(await done('audit verify')).toMatch(/^intact/)
  },
  60_000,
)
