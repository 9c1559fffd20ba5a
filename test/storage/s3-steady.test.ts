/** A body that goes on where it broke off, from sources that do what a test says. */
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { expect, it } from 'vitest'
import type { ByteRange } from '../../oci/ranges.ts'
import { steady } from '../../storage/s3-steady.ts'
import { randomBytes } from '../helpers/images.ts'
import { pause, until } from '../helpers/until.ts'

const bytes = randomBytes('steady', 1_000_000)
const usual = 60_000

/** Gives `upTo` bytes of a range, in pieces, and then ends, fails, or says nothing more. */
function source({ start, end }: ByteRange, upTo: number, then: 'end' | 'fail' | 'silence'): Readable {
  let position = start
  return new Readable({
    read() {
      const next = Math.min(position + 10_000, start + upTo, end)
      if (next > position) this.push(bytes.subarray(position, next))
      else if (position === end || then === 'end') this.push(null)
      else if (then === 'fail') this.destroy(new Error('broken'))
      position = next
    },
  })
}

const whole = { start: 0, end: bytes.length }

it.for([['end'], ['fail'], ['silence']] as const)('goes on after %s', async ([then]) => {
  const asked: number[] = []
  const again = async (rest: ByteRange) => {
    asked.push(rest.start)
    return source(rest, 300_000, then)
  }
  const body = steady({ first: source(whole, 300_000, then), span: whole, again, silenceMs: 50 })
  expect((await buffer(body)).equals(bytes)).toBe(true)
  expect(asked).toEqual([300_000, 600_000, 900_000])
})

it('fails with what keeps it from going on, and says what has ended it before', async () => {
  const causes: string[] = []
  const again = async (_rest: ByteRange, cause: Error) => {
    causes.push(cause.message)
    throw new Error('enough')
  }
  const body = steady({ first: source(whole, 500, 'fail'), span: whole, again, silenceMs: usual })
  await expect(buffer(body)).rejects.toThrow('enough')
  expect(causes).toEqual(['broken'])
})

it('takes no more than it is to have', async () => {
  const again = async () => Readable.from([])
  const body = steady({
    first: source(whole, 1_000, 'end'),
    span: { start: 0, end: 999 },
    again,
    silenceMs: usual,
  })
  await expect(buffer(body)).rejects.toThrow('more than it was asked for')
})

it('asks for nothing while nobody reads, however long that takes', async () => {
  const asked: unknown[] = []
  const again = async (rest: ByteRange, _cause: Error, wasIdle: boolean) => {
    asked.push([rest.start, wasIdle])
    return source(rest, bytes.length, 'end')
  }
  const first = source(whole, 300_000, 'silence')
  const body = steady({ first, span: whole, again, silenceMs: 50 })
  body.read(0)
  await until('it holds all that it may', () => body.readableLength >= body.readableHighWaterMark)
  await pause(200)
  expect(first.destroyed).toBe(false)
  // As a store does that has waited for long enough.
  first.destroy(new Error('idle'))
  await pause(50)
  expect(asked).toEqual([])
  expect((await buffer(body)).equals(bytes)).toBe(true)
  expect(asked).toEqual([[expect.any(Number), true]])
})

it('says of what breaks off at once that nobody was idle', async () => {
  const asked: unknown[] = []
  const again = async (rest: ByteRange, _cause: Error, wasIdle: boolean) => {
    asked.push(wasIdle)
    return source(rest, bytes.length, 'end')
  }
  const first = source(whole, 300_000, 'silence')
  const body = steady({ first, span: whole, again, silenceMs: usual })
  body.read(0)
  await until('it holds all that it may', () => body.readableLength >= body.readableHighWaterMark)
  first.destroy(new Error('broken'))
  expect((await buffer(body)).equals(bytes)).toBe(true)
  expect(asked).toEqual([false])
})

it('lets go of its source, also of one that comes too late', async () => {
  const first = source(whole, 1_000, 'fail')
  const late = source(whole, 1_000, 'silence')
  const { promise, resolve } = Promise.withResolvers<Readable>()
  const body = steady({ first, span: whole, again: () => promise, silenceMs: usual })
  body.resume()
  await until('it asks again', () => first.destroyed)
  body.destroy()
  resolve(late)
  await until('the late one is let go', () => late.destroyed)

  const held = source(whole, 1_000, 'silence')
  steady({ first: held, span: whole, again: () => promise, silenceMs: usual }).destroy()
  await until('the held one is let go', () => held.destroyed)
})
