import { describe, expect, it } from 'vitest'
import { type ChunkedPlace, chunkedStart, readChunked } from '../../kernel/chunked.ts'
import { randomBytes } from '../helpers/images.ts'

/** What is read of a body that comes in these pieces; undefined where it is none. */
function read(pieces: readonly Buffer[]) {
  let place: ChunkedPlace | undefined = chunkedStart
  let surplus = 0
  const content: Buffer[] = []
  for (const piece of pieces) {
    let contentEnd = 0
    // Another thread goes on from a place that was copied.
    place = readChunked(structuredClone(place), piece, (start, end) => {
      expect(start).toBeGreaterThanOrEqual(contentEnd)
      contentEnd = end
      content.push(piece.subarray(start, end))
    })
    if (!place) return undefined
    if (place.expects === 'nothing') surplus += piece.length - contentEnd
  }
  return { content: Buffer.concat(content).toString('latin1'), expects: place.expects, surplus }
}

const cutAt = (bytes: Buffer, ...cuts: readonly number[]) =>
  [0, ...cuts].map((from, index) => bytes.subarray(from, cuts[index] ?? bytes.length))

/** All ways to cut once, and each byte by itself. */
function* splits(bytes: Buffer): Generator<readonly Buffer[]> {
  for (let at = 0; at <= bytes.length; at++) yield cutAt(bytes, at)
  yield cutAt(bytes, ...Array.from({ length: bytes.length - 1 }, (_, at) => at + 1))
}

const latin1 = (text: string) => Buffer.from(text, 'latin1')

/** Numbers below `most`, the same for the same seed. */
function numbers(seed: string): (most: number) => number {
  const bytes = randomBytes(seed, 64 * 1024)
  let at = 0
  return most => {
    at += 4
    return bytes.readUInt32LE(at % (bytes.length - 4)) % most
  }
}

function randomBody(seed: string): { readonly content: string; readonly framed: string } {
  const below = numbers(seed)
  let content = ''
  let framed = ''
  for (let chunks = below(6); chunks > 0; chunks--) {
    // The bytes of framing are content here: what is not counted would be taken for it.
    const data = '0\r\n\r\n5;a\r\nGET'.slice(below(5)).repeat(1 + below(4))
    const digits = '0'.repeat(below(3)) + data.length.toString(16)
    content += data
    framed += `${below(2) ? digits : digits.toUpperCase()}\r\n${data}\r\n`
  }
  const trailers = 'A: b\r\n'.repeat(below(3))
  return { content, framed: `${framed}${'0'.repeat(1 + below(3))}\r\n${trailers}\r\n` }
}

const bodies = Array.from({ length: 50 }, (_, seed) => ({ seed, ...randomBody(`framing ${seed}`) }))

describe('a chunked body', () => {
  it.for(bodies)('is the same in whatever pieces it comes: $seed', ({ content, framed }) => {
    for (const pieces of splits(latin1(framed))) {
      expect(read(pieces)).toMatchObject({ content, expects: 'nothing' })
    }
  })

  it.for(bodies.slice(0, 10))('has not ended before its last byte: $seed', ({ framed, content }) => {
    for (let end = 0; end < framed.length; end++) {
      const found = read([latin1(framed.slice(0, end))])
      expect(found?.expects).not.toBe('nothing')
      expect(content.startsWith(found?.content ?? 'nothing of it')).toBe(true)
    }
  })

  it.for(['GET / HTTP/1.1\r\n\r\n', '5\r\nabcde\r\n0\r\n\r\n', '\r\n', '\0'])(
    'leaves alone what is behind it: %j',
    behind => {
      const framed = '3\r\nabc\r\n0\r\n\r\n'
      for (const pieces of splits(latin1(framed + behind))) {
        expect(read(pieces)).toMatchObject({ content: 'abc', expects: 'nothing' })
      }
      // All at once: its framing from the content on, and what is behind.
      expect(read([latin1(framed + behind)])?.surplus).toBe('\r\n0\r\n\r\n'.length + behind.length)
    },
  )

  it.for([
    ['the largest size', 'f'.repeat(12), 16 ** 12 - 1],
    ['digits in both cases', 'aBcDeF', 0xabcdef],
  ] as const)('counts exactly: %s', ([, digits, count]) => {
    for (const pieces of splits(latin1(`${digits}\r\n`))) {
      let place: ChunkedPlace | undefined = chunkedStart
      for (const piece of pieces) place = place && readChunked(place, piece, () => {})
      expect(place).toMatchObject({ expects: 'data', count })
    }
  })

  it('may have trailers of 8 KiB, each line counted with its CR', () => {
    const framed = (bytes: number) => latin1(`0\r\nA: ${'b'.repeat(bytes - 'A: \r\r'.length)}\r\n\r\n`)
    expect(read([framed(8192)])).toMatchObject({ content: '', expects: 'nothing' })
    expect(read([framed(8193)])).toBeUndefined()
  })
})

const malformed = [
  ['an empty size', '\r\n'],
  ['a size that is not hex', 'g\r\n'],
  ['a size with a character beside the digits', ':\r\n'],
  ['a size with a character beside the letters', '`\r\n'],
  ['a size in letters past ASCII', '\xe1\r\n'],
  ['a size with 0x', '0x3\r\nabc\r\n'],
  ['a size with a sign', '+3\r\nabc\r\n'],
  ['a size with a minus', '-3\r\nabc\r\n'],
  ['a size with a space before', ' 3\r\nabc\r\n'],
  ['a size with a space behind', '3 \r\nabc\r\n'],
  ['a size of too many digits', `${'0'.repeat(12)}3\r\nabc\r\n`],
  ['a size past what a number holds', `${'f'.repeat(13)}\r\n`],
  ['a size that ends in LF', '3\nabc\r\n'],
  ['a size that ends in CR', '3\rabc\r\n'],
  ['an extension', '3;a=b\r\nabc\r\n'],
  ['an extension of the last chunk', '3\r\nabc\r\n0;a\r\n\r\n'],
  ['data that is longer than its size', '3\r\nabcd\r\n0\r\n\r\n'],
  ['data that ends in LF', '3\r\nabc\n0\r\n\r\n'],
  ['data that ends in CR', '3\r\nabc\r0\r\n\r\n'],
  ['data that ends in LF and CR', '3\r\nabc\n\r0\r\n\r\n'],
  ['a trailer that ends in LF', '0\r\nA: b\n\r\n'],
  ['a trailer that ends in CR', '0\r\nA: b\rC: d\r\n\r\n'],
  ['trailers that end in LF', '0\r\nA: b\r\n\n'],
  ['an end that is LF', '0\r\n\n'],
  ['an end that is CR', '0\r\n\rx'],
  ['one trailer of 9 KiB', `0\r\nA: ${'b'.repeat(9 * 1024)}\r\n\r\n`],
  ['many trailers', `0\r\n${'A: b\r\n'.repeat(2000)}\r\n`],
] as const

describe('what is no chunked body', () => {
  it.for(malformed)('is refused in whatever pieces it comes: %s', ([, framed]) => {
    const bytes = latin1(framed)
    const all = bytes.length < 100 ? splits(bytes) : [cutAt(bytes), cutAt(bytes, 5, 4000), cutAt(bytes, 8195)]
    for (const pieces of all) expect(read(pieces)).toBeUndefined()
  })

  it('has given no more content than its chunks said', () => {
    const content: string[] = []
    const bytes = latin1('3\r\nabcGET / HTTP/1.1\r\n')
    readChunked(chunkedStart, bytes, (start, end) => content.push(bytes.toString('latin1', start, end)))
    expect(content).toEqual(['abc'])
  })
})
