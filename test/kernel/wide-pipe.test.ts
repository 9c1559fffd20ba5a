import { closeSync, mkdtempDisposableSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { loadSyscalls, type Syscalls } from '../../kernel/syscalls.ts'
import { openWidePipe, widePipe } from '../../kernel/wide-pipe.ts'
import { describeUnless, needsSyscalls } from '../helpers/obstacles.ts'
import { openDescriptors } from '../helpers/processes.ts'

const { EAGAIN, EIO, EMFILE, EPERM } = constants.errno
const loaded = await loadSyscalls()
const syscalls = 'syscalls' in loaded ? loaded.syscalls : ({} as Syscalls)

/** A pipe, two files to send from, and one that stands for a socket. */
function opened() {
  const ends = openWidePipe(syscalls)
  if (!ends) throw new Error('no pipe')
  const folder = mkdtempDisposableSync(join(tmpdir(), 'slipway-test-'))
  const path = (name: string) => join(folder.path, name)
  writeFileSync(path('from'), 'abcdefghij')
  writeFileSync(path('other'), '0123456789')
  const [from, other, to] = [
    openSync(path('from'), 'r'),
    openSync(path('other'), 'r'),
    openSync(path('to'), 'w'),
  ]
  return {
    ends,
    from,
    other,
    to,
    received: () => readFileSync(path('to'), 'utf8'),
    [Symbol.dispose]() {
      for (const fd of [ends.entry, ends.exit, ends.nowhere, from, other, to]) closeSync(fd)
      folder.remove()
    },
  }
}

describeUnless(await needsSyscalls(), 'a wide pipe', () => {
  it('is not there where it may not be as wide, and leaves no descriptor', () => {
    const before = openDescriptors()
    expect(openWidePipe({ ...syscalls, resizePipe: () => -EPERM })).toBeUndefined()
    expect(openWidePipe({ ...syscalls, pipe: () => -EMFILE })).toBeUndefined()
    expect(openDescriptors()).toBe(before)
  })

  it('is empty after a socket that took a part or nothing', () => {
    using files = opened()
    const { from, other, to } = files
    let most = 3
    const send = widePipe(
      {
        ...syscalls,
        splice: (source, offset, target, count) =>
          target === to && most === 0
            ? -EAGAIN
            : syscalls.splice(source, offset, target, target === to ? Math.min(most, count) : count),
      },
      files.ends,
    )
    expect(send(to, from, 0, 8)).toBe(3)
    most = 0
    expect(send(to, from, 3, 7)).toBe(-EAGAIN)
    most = 100
    expect(send(to, other, 0, 10)).toBe(10)
    expect(send(to, from, 10, 5)).toBe(0)
    expect(files.received()).toBe('abc0123456789')
  })

  it('leaves it to sendfile where splice is forbidden', () => {
    using files = opened()
    const send = widePipe({ ...syscalls, splice: () => -EPERM }, files.ends)
    expect(send(files.to, files.from, 2, 5)).toBe(5)
    expect(files.received()).toBe('cdefg')
  })

  it.for([
    ['could not be let go', () => -EIO],
    [
      'threw',
      () => {
        throw new Error('a mistake')
      },
    ],
  ] as const)('sends nothing of one file as another after a call that %s', ([, call]) => {
    using files = opened()
    const { from, other, to } = files
    const send = widePipe(
      {
        ...syscalls,
        splice: (source, offset, target, count) =>
          offset === undefined ? call() : syscalls.splice(source, offset, target, count),
      },
      files.ends,
    )
    try {
      expect(send(to, from, 0, 8)).toBe(-EIO)
    } catch (error) {
      expect(error).toMatchObject({ message: 'a mistake' })
    }
    expect(send(to, other, 0, 10)).toBe(10)
    expect(files.received()).toBe('0123456789')
  })
})
