import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { digestsOf, image } from '../helpers/images.ts'
import { crash, primaryOf } from '../helpers/processes.ts'
import { slipway } from '../helpers/program.ts'
import { pullDigests, pushImage } from '../helpers/push.ts'
import { startServer } from '../helpers/server.ts'

const path = { PATH: process.env.PATH ?? '' }
const serve = (data: string) =>
  slipway(['serve', '--listen', '127.0.0.1:0', '--data', data], { cwd: tmpdir(), env: path })

async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-folder-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return folder
}

it('refuses a folder that another server serves, and names it', async () => {
  await using server = await startServer()
  const { status, stderr } = await serve(server.data ?? '')
  expect(status).toBe(1)
  expect(stderr).toContain(`is in use by process ${primaryOf(server)}`)
  // The first goes on as if nothing had happened.
  await pushImage(
    { address: server.address, name: 'folder/used' },
    image({ seed: 'used', layers: [300] }),
    'tag',
  )
})

it('takes over what a killed server left behind', async () => {
  await using first = await startServer()
  const repository = { address: first.address, name: 'folder/stale' }
  const pushed = image({ seed: 'stale', layers: [300, 100_000] })
  await pushImage(repository, pushed, 'tag')
  await crash(first)
  const data = first.data ?? ''
  expect((await stat(join(data, 'owner.sock'))).isSocket()).toBe(true)
  await writeFile(join(data, 'tmp', 'half'), 'a record that nobody was told of')

  await using second = await startServer({ data })
  expect((await pullDigests({ ...repository, address: second.address }, 'tag')).all).toEqual(
    digestsOf(pushed),
  )
  await expect(stat(join(data, 'tmp', 'half'))).rejects.toThrow('ENOENT')
})

it('refuses a folder that a newer version wrote, and leaves it alone', async () => {
  const data = await emptyFolder()
  const format = JSON.stringify({ layout: 1, id: 'x', created: '', min_reader: 2, features: [] })
  await writeFile(join(data, 'format.json'), format)
  const { status, stderr } = await serve(data)
  expect(status).toBe(1)
  expect(stderr).toContain('was written by a newer slipway (format 2): update slipway')
  expect(await readFile(join(data, 'format.json'), 'utf8')).toBe(format)
})

it.for([
  ['files of somebody else', 'letter.txt', 'holds other files (letter.txt)'],
  ['a damaged format', 'format.json', 'is damaged: restore it from a backup'],
] as const)('refuses a folder with %s', async ([, name, reason]) => {
  const data = await emptyFolder()
  await writeFile(join(data, name), 'Dear Sir')
  const { status, stderr } = await serve(data)
  expect(status).toBe(1)
  expect(stderr).toContain(reason)
})
