import fs from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { expect, it, onTestFinished, vi } from 'vitest'
import { receive } from '../../storage/receive.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { randomBytes } from '../helpers/images.ts'

const bytes = randomBytes('receive', 2_000_000)
const witness = { update() {} }

async function target() {
  const path = join(await temporaryFolder(), 'file')
  const handle = await open(path, 'w+')
  onTestFinished(() => handle.close())
  return { fd: handle.fd, written: () => readFile(path) }
}

function* pieces(size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

it.for([1_000, 65_536, 300_000, 2_000_000])('writes pieces of %d bytes in order', async size => {
  const { fd, written } = await target()
  const seen: Uint8Array[] = []
  const end = await receive(Readable.from(pieces(size)), fd, 0, { update: chunk => void seen.push(chunk) })
  expect(end).toBe(bytes.length)
  expect((await written()).equals(bytes)).toBe(true)
  expect(Buffer.concat(seen).equals(bytes)).toBe(true)
})

it('goes on from a position', async () => {
  const { fd, written } = await target()
  await receive(Readable.from([bytes.subarray(0, 10)]), fd, 0, witness)
  expect(await receive(Readable.from([bytes.subarray(10)]), fd, 10, witness)).toBe(bytes.length)
  expect((await written()).equals(bytes)).toBe(true)
})

it('pauses a source that is faster than the disk', async () => {
  const { fd } = await target()
  const writes: (() => void)[] = []
  const writev = fs.writev
  vi.spyOn(fs, 'writev').mockImplementation((...call) => void writes.push(() => writev(...call)))
  const source = new PassThrough({ highWaterMark: 64 * 1024 })
  const received = receive(source, fd, 0, witness)
  let sent = 0
  for (const piece of pieces(64 * 1024)) {
    if (source.isPaused()) break
    sent += piece.length
    source.write(piece)
    await new Promise(setImmediate)
  }
  expect(source.isPaused()).toBe(true)
  expect(sent).toBeLessThan(800_000)
  expect(writes).toHaveLength(1)
  source.end()
  vi.mocked(fs.writev).mockImplementation((...call) => writev(...call))
  for (const write of writes) write()
  expect(await received).toBe(sent)
})

it('writes the rest of a write that was short', async () => {
  const { fd, written } = await target()
  const writev = fs.writev
  vi.spyOn(fs, 'writev').mockImplementationOnce((to, batch, at, done) => {
    const [first = Buffer.alloc(0)] = batch
    writev(to, [new Uint8Array(first.buffer, first.byteOffset, 100)], at, done)
  })
  expect(await receive(Readable.from(pieces(90_000)), fd, 0, witness)).toBe(bytes.length)
  expect((await written()).equals(bytes)).toBe(true)
})

it('fails with the error of the disk, and not before the write is over', async () => {
  const { fd } = await target()
  const full = Object.assign(new Error('disk full'), { code: 'ENOSPC' })
  const source = new PassThrough()
  let failWrite = () => {}
  vi.spyOn(fs, 'writev').mockImplementationOnce((_fd, batch, _at, done) => {
    failWrite = () => done?.(full, 0, [...batch])
  })
  let settled = false
  const received = receive(source, fd, 0, witness).finally(() => {
    settled = true
  })
  const refused = expect(received).rejects.toBe(full)
  source.write(bytes)
  await new Promise(setImmediate)
  source.destroy(new Error('cut off'))
  await new Promise(setImmediate)
  expect(settled).toBe(false)
  failWrite()
  await refused
})

it.for([10, 300_000])('writes %d bytes that came before the source was cut off', async size => {
  const { fd, written } = await target()
  const source = new PassThrough()
  const received = receive(source, fd, 0, witness)
  const refused = expect(received).rejects.toThrow('went away')
  source.write(bytes.subarray(0, size))
  await new Promise(setImmediate)
  source.destroy()
  await refused
  expect((await written()).equals(bytes.subarray(0, size))).toBe(true)
})

it('fails at once where the source is gone already', async () => {
  const { fd } = await target()
  const source = new PassThrough().destroy()
  await expect(receive(source, fd, 0, witness)).rejects.toThrow('went away')
})
