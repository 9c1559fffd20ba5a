/** The commands that ask a registry, as their users run them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { artifact, digest, digestsOf, image, multiArch } from '../helpers/images.ts'
import { type Ended, slipway } from '../helpers/program.ts'
import { manifestStatus, pullDigests, pushImage, tagsOf } from '../helpers/push.ts'
import { scriptedServer } from '../helpers/scripted-server.ts'
import { startServer, type TestServer } from '../helpers/server.ts'

const made = multiArch({ seed: 'cli', layers: [100, 3_000] })
const [amd, arm] = made.children.map(({ descriptor }) => descriptor.digest)
const one = image({ seed: 'one', layers: [2_000] })
const done = (stdout: string): Ended => ({ status: 0, stdout, stderr: '' })
const failed = (line: string): Ended => ({ status: 1, stdout: '', stderr: `slipway: ${line}\n` })
const misused = (line: string): Ended => ({ status: 2, stdout: '', stderr: `slipway: ${line}\n` })

let server: TestServer
let host = ''
const at = (name: string) => ({ address: server.address, name })
beforeAll(async () => {
  server = await startServer()
  host = server.host
  await pushImage(at('cli/index'), made, '1')
  await pushImage(at('cli/one'), one, 'latest')
  await pushImage(at('cli/one'), one, 'old')
  await pushImage(at('client'), one, '1')
})
afterAll(() => server[Symbol.asyncDispose]())

describe('ls and tags', () => {
  it('list names, one a line', async () => {
    expect((await slipway(['ls', host])).stdout.split('\n')).toEqual(
      expect.arrayContaining(['cli/index', 'cli/one', 'client']),
    )
    expect(await slipway(['ls', `${host}/cli/`])).toEqual(done('cli/index\ncli/one\n'))
    expect(await slipway(['ls', `${host}/cli/one`])).toEqual(done('cli/one\n'))
    expect(await slipway(['tags', `${host}/cli/one`])).toEqual(done('latest\nold\n'))
  })

  it('say on standard error that nothing is there', async () => {
    expect(await slipway(['ls', `${host}/nobody`])).toEqual({
      status: 0,
      stdout: '',
      stderr: `slipway: ${host} has no repositories below nobody\n`,
    })
    expect(await slipway(['ls', '--json', `${host}/nobody`])).toEqual(
      done(`${JSON.stringify({ host, repositories: [] })}\n`),
    )
  })

  it('print one JSON object when asked', async () => {
    const listed = await slipway(['ls', `${host}/cli`, '--json'])
    const tagged = await slipway(['tags', '--json', `${host}/cli/one`])

    expect(JSON.parse(listed.stdout)).toEqual({ host, repositories: ['cli/index', 'cli/one'] })
    expect(JSON.parse(tagged.stdout)).toEqual({ host, name: 'cli/one', tags: ['latest', 'old'] })
  })
})

describe('inspect', () => {
  const lines = async (reference: string) =>
    (await slipway(['inspect', reference])).stdout.split('\n').map(line => line.split(/ {2,}/))

  it('says what an index has for which platform', async () => {
    expect(await lines(`${host}/cli/index:1`)).toEqual([
      ['name', `${host}/cli/index:1`],
      ['digest', made.descriptor.digest],
      ['media type', made.descriptor.mediaType],
      ['linux/amd64', amd],
      ['linux/arm64', arm],
      [''],
    ])
  })

  it('says what an image is made of', async () => {
    const [config, layer] = one.blobs.map(({ descriptor }) => descriptor.digest)

    expect(await lines(`${host}/cli/one`)).toEqual([
      ['name', `${host}/cli/one:latest`],
      ['digest', one.descriptor.digest],
      ['media type', one.descriptor.mediaType],
      ['platform', 'linux/amd64'],
      ['label', 'seed=one'],
      ['config', config, expect.stringMatching(/^\d+ bytes$/)],
      ['layer', layer, expect.stringMatching(/^[\d.]+KiB$/)],
      ['size', expect.stringMatching(/KiB in 1 layer$/)],
      [''],
    ])
  })

  it('lets no label move the cursor of a terminal', async () => {
    const config = JSON.stringify({ os: 'linux', architecture: 'amd64', created: '\u001b[2J\nnow\u202e' })
    const bytes = Buffer.from(config)
    const layers: unknown[] = []
    const descriptor = {
      mediaType: 'application/vnd.oci.image.config.v1+json',
      digest: digest(bytes),
      size: bytes.length,
    }
    const { mediaType } = one.descriptor
    const manifest = JSON.stringify({ schemaVersion: 2, mediaType, config: descriptor, layers })
    await using hostile = await scriptedServer(({ path }) =>
      path.includes('/manifests/')
        ? { body: manifest, headers: { 'Content-Type': mediaType } }
        : { body: bytes },
    )

    const { stdout } = await slipway(['inspect', `${hostile.host}/app:1`])

    expect(stdout).toContain('created     [2J now\n')
  })

  it('shows an artifact, which has no platform', async () => {
    const note = artifact(one, 'text/note', 'seen')
    await pushImage(at('cli-note'), note, '1')

    const names = (await lines(`${host}/cli-note:1`)).map(([name]) => name)
    expect(names).toEqual(['name', 'digest', 'media type', 'config', 'layer', 'size', ''])
  })

  it('prints everything as JSON, or the bytes as they are', async () => {
    const { stdout } = await slipway(['inspect', '--json', `${host}/cli/one:old`])
    const [config] = one.blobs

    expect(JSON.parse(stdout)).toEqual({
      name: `${host}/cli/one:old`,
      ...one.descriptor,
      manifest: JSON.parse(one.bytes.toString()),
      config: JSON.parse(config?.bytes.toString() ?? ''),
    })
    expect(await slipway(['inspect', '--raw', `${host}/cli/index@${made.descriptor.digest}`])).toEqual(
      done(made.bytes.toString()),
    )
  })
})

describe('tag and rm', () => {
  it('move tags and leave the image alone', async () => {
    await pushImage(at('cli-tag'), made, '1')

    expect(await slipway(['tag', `${host}/cli-tag:1`, '2', `${host}/cli-tag:next`])).toEqual(
      done(`${made.descriptor.digest}\n`),
    )
    expect(await pullDigests(at('cli-tag'), 'next')).toEqual({
      top: made.descriptor.digest,
      all: digestsOf(made),
    })
    expect(await slipway(['rm', `${host}/cli-tag:1`])).toEqual(done(`removed ${host}/cli-tag:1\n`))
    expect(await tagsOf(at('cli-tag'))).toEqual(['2', 'next'])
  })

  it('remove an image by its digest, and every tag on it', async () => {
    for (const tag of ['1', '2']) await pushImage(at('cli-rm'), one, tag)
    const name = `${host}/cli-rm@${one.descriptor.digest}`

    expect(await slipway(['rm', name])).toEqual(done(`removed ${name}\n`))
    expect(await tagsOf(at('cli-rm'))).toEqual([])
    expect(await slipway(['rm', name])).toEqual(
      failed(`${name}: 404 MANIFEST_UNKNOWN: manifest unknown to registry`),
    )
  })

  it('remove several, and nothing where one is not named as it should be', async () => {
    for (const tag of ['1', '2', '3']) await pushImage(at('cli-rm-several'), one, tag)
    const name = `${host}/cli-rm-several`

    expect(await slipway(['rm', `${name}:1`, name])).toMatchObject({ status: 2 })
    expect(await slipway(['rm', `${name}:1`, `${name}:3`])).toEqual(
      done(`removed ${name}:1\nremoved ${name}:3\n`),
    )
    expect(await tagsOf(at('cli-rm-several'))).toEqual(['2'])
  })

  it('say how to remove an image where tags cannot be', async () => {
    const { digest: top, mediaType } = one.descriptor
    await using older = await scriptedServer(({ method }) =>
      method === 'DELETE'
        ? { status: 405, body: '{"errors":[{"code":"UNSUPPORTED"}]}' }
        : { headers: { 'Docker-Content-Digest': top, 'Content-Type': mediaType, 'Content-Length': '9' } },
    )
    const name = `${older.host}/app`

    expect(await slipway(['rm', `${name}:1`])).toEqual(
      failed(`${name}:1: 405 UNSUPPORTED: to remove the image and all its tags, name ${name}@${top}`),
    )
  })
})

describe('copy', () => {
  it.for<[what: string, from: string, to: string, tag: string]>([
    ['gives the tag that it was told', ':1', ':2', '2'],
    ['keeps the tag', ':1', '', '1'],
    ['goes by the digest where there is no tag', `@${made.descriptor.digest}`, '', made.descriptor.digest],
    ['takes a digest for a promise', ':1', `:3@${made.descriptor.digest}`, '3'],
  ])('%s', async ([, from, to, tag], { task }) => {
    const name = `cli-copy-${task.id.replaceAll(/\W/g, '').toLowerCase()}`

    expect(await slipway(['copy', `${host}/cli/index${from}`, `${host}/${name}${to}`])).toEqual(
      done(`${made.descriptor.digest}\n`),
    )
    expect(await pullDigests(at(name), tag)).toEqual({ top: made.descriptor.digest, all: digestsOf(made) })
  })

  it('copies one platform to another registry', async () => {
    await using other = await startServer()
    const args = ['copy', `${host}/cli/index:1`, `${other.host}/app:arm`, '--platform=linux/arm64']

    expect(await slipway(args)).toEqual(done(`${arm}\n`))
    expect((await pullDigests({ address: other.address, name: 'app' }, 'arm')).top).toBe(arm)
  })

  it('copies nothing where another image is promised', async () => {
    const to = `${host}/cli-promise@${one.descriptor.digest}`

    expect(await slipway(['copy', `${host}/cli/index:1`, to])).toEqual(
      failed(`${to} is to hold another image: SRC is ${made.descriptor.digest}`),
    )
    expect(await manifestStatus(at('cli-promise'), made.descriptor.digest)).toBe(404)
  })
})

describe('ends with 2 and one line', () => {
  it.for<[args: string[], line: string]>([
    [['ls'], 'HOST[/PREFIX] is missing: expected HOST[/PREFIX]'],
    [['ls', 'a.b', 'c.d'], 'unexpected argument c.d: expected HOST[/PREFIX]'],
    [
      ['ls', 'alpine'],
      '"alpine" is no registry: expected a host such as localhost:5000, reg.acme.dev or docker.io',
    ],
    [['tags', 'a.b'], '"a.b" is not complete: expected HOST/NAME, such as localhost:5000/team/app'],
    [['inspect', 'a.b/c', '--raw', '--json'], '--raw and --json exclude each other: give one of them'],
    [['tag', 'a.b/c:1'], 'NEWTAG is missing: expected REF NEWTAG…'],
    [
      ['tag', 'a.b/c:1', 'ok', '-'],
      'invalid tag "-": expected 1 to 128 of letters, digits, _ . -, not starting with . or -',
    ],
    [['tag', 'a.b/c:1', 'a.b/d:2'], 'a.b/d:2 is not in a.b/c: to take an image there, use slipway copy'],
    [['tag', 'a.b/c:1', 'a.b/c'], 'a.b/c is no tag: expected a.b/c:TAG'],
    [
      ['inspect', 'a.b/c', '--log-level=silly'],
      '--log-level: expected one of trace, debug, info, warn, error, found "silly"',
    ],
    [
      ['ls', 'a.b', '--tls', '--plain-http'],
      '--tls and --plain-http exclude each other: give a.b one of them',
    ],
    [['rm', 'a.b/c'], 'a.b/c names no image: add :TAG or @DIGEST'],
    [
      ['rm', `a.b/c:1@${one.descriptor.digest}`],
      `a.b/c:1@${one.descriptor.digest} names a tag and a digest: give the one that is to go`,
    ],
    [['copy', 'a.b/c'], 'DST is missing: expected SRC DST'],
    [
      ['copy', 'a.b/c', 'a.b/d', '--platform', 'arm64'],
      '--platform: expected OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64, found arm64',
    ],
    [['copy', 'a.b/c', 'a.b/d', '--platfrom=x'], 'unknown option --platfrom: did you mean --platform?'],
  ])('%j', async ([args, line]) => {
    expect(await slipway(args)).toEqual(misused(line))
  })
})

it.for(['ls', 'tags', 'inspect', 'tag', 'rm', 'copy'])('explains %s with an example', async name => {
  const { status, stdout } = await slipway([name, '--help'])

  expect(status).toBe(0)
  expect(stdout).toMatch(new RegExp(`^usage: slipway ${name} \\[options\\] [A-Z]`))
  expect(stdout).toMatch(new RegExp(`^example:\\n  slipway ${name} \\S+`, 'm'))
})
