import { expect, it } from 'vitest'
import { formatDuration, formatSize, parseDuration, parseSize, roundSize } from '../../server/units.ts'

it.for<[text: string, bytes: number]>([
  ['0', 0],
  ['1023', 1023],
  ['1KiB', 1024],
  ['4MiB', 4_194_304],
  ['5000KiB', 5_120_000],
  ['3GiB', 3_221_225_472],
])('reads and writes the size %s', ([text, bytes]) => {
  expect(parseSize(text)).toBe(bytes)
  expect(formatSize(bytes)).toBe(text)
})

it.for<[text: string, ms: number]>([
  ['1s', 1_000],
  ['60s', 60_000],
  ['90s', 90_000],
  ['2m', 120_000],
  ['24h', 86_400_000],
  ['2d', 172_800_000],
  ['36h', 129_600_000],
])('reads and writes the time %s', ([text, ms]) => {
  expect(parseDuration(text)).toBe(ms)
  expect(parseDuration(formatDuration(ms))).toBe(ms)
})

it.for<[ms: number, text: string]>([
  [86_400_000, '24h'],
  [3_600_000, '1h'],
  [60_000, '1m'],
  [90_000, '90s'],
  [172_800_000, '2d'],
])('writes %d ms in the unit that people use', ([ms, text]) => {
  expect(formatDuration(ms)).toBe(text)
})

it.for<[bytes: number, text: string]>([
  [0, '0 bytes'],
  [1000, '1000 bytes'],
  [1536, '1.5KiB'],
  [12_345_678_901, '11.5GiB'],
  [1_234_567_890_123, '1150GiB'],
])('rounds %d bytes', ([bytes, text]) => {
  expect(roundSize(bytes)).toBe(text)
})
