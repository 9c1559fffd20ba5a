import { mkdtempDisposableSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { loadSyscalls, type Syscalls } from '../../kernel/syscalls.ts'
import { closeWidePipe, openWidePipe, sendThrough, type WidePipe } from '../../kernel/wide-pipe.ts'
import { describeUnless, needsSyscalls } from '../helpers/obstacles.ts'
import { openDescriptors } from '../helpers/processes.ts'

const loaded = await loadSyscalls()
const syscalls = 'syscalls' in loaded ? loaded.syscalls : ({} as Syscalls)

function opened(): WidePipe {
  const pipe = openWidePipe(syscalls)
  if (!pipe) throw new Error('no pipe')
  return pipe
}

describeUnless(await needsSyscalls(), 'a wide pipe', () => {
  it('is not there where it may not be as wide, and leaves no descriptor', () => {
    const before = openDescriptors()
    expect(openWidePipe({ ...syscalls, resizePipe: () => -1 })).toBeUndefined()
    expect(openWidePipe({ ...syscalls, pipe: () => -24 })).toBeUndefined()
    expect(openDescriptors()).toEqual(before)
  })

  it('is empty after a socket that took a part or nothing', () => {
    using folder = mkdtempDisposableSync(join(tmpdir(), 'slipway-test-'))
    const path = (name: string) => join(folder.path, name)
    writeFileSync(path('from'), 'abcdefghij')
    const from = openSync(path('from'), 'r')
    const to = openSync(path('to'), 'w')
    const pipe = opened()
    const taking = (most: number): Syscalls => ({
      ...syscalls,
      splice: (source, offset, target, count) =>
        target === to && most === 0
          ? -11
          : syscalls.splice(source, offset, target, target === to ? most : count),
    })
    expect(sendThrough(taking(3), pipe, to, from, 0, 8)).toBe(3)
    expect(sendThrough(taking(0), pipe, to, from, 3, 7)).toBe(-11)
    expect(sendThrough(taking(100), pipe, to, from, 3, 7)).toBe(7)
    expect(sendThrough(syscalls, pipe, to, from, 10, 5)).toBe(0)
    expect(readFileSync(path('to'), 'utf8')).toBe('abcdefghij')
    closeWidePipe(pipe)
  })

  it('is not used again when something stayed in it', () => {
    const pipe = opened()
    const calls: string[] = []
    const failing: Syscalls = {
      ...syscalls,
      splice: (_from, offset) => (offset === undefined ? -5 : 10),
      sendfile: () => calls.push('sendfile'),
    }
    expect(sendThrough(failing, pipe, 1, 2, 0, 10)).toBe(-5)
    expect(sendThrough(failing, pipe, 1, 2, 0, 10)).toBe(1)
    expect(calls).toEqual(['sendfile'])
    closeWidePipe(pipe)
  })
})
