import { expect, it } from 'vitest'
import { parseContentRange, parseRange } from '../../oci/ranges.ts'

it.for<[header: string | undefined, size: number, found: [number, number] | 'unsatisfiable' | undefined]>([
  [undefined, 10, undefined],
  ['lines=0-1', 10, undefined],
  ['bytes=0-1,3-4', 10, undefined],
  ['bytes=0-0', 10, [0, 1]],
  ['bytes=0-9', 10, [0, 10]],
  ['bytes=0-99', 10, [0, 10]],
  ['bytes=3-', 10, [3, 10]],
  ['bytes=9-', 10, [9, 10]],
  ['bytes=10-', 10, 'unsatisfiable'],
  ['bytes=5-4', 10, 'unsatisfiable'],
  ['bytes=-3', 10, [7, 10]],
  ['bytes=-99', 10, [0, 10]],
  ['bytes=-0', 10, 'unsatisfiable'],
  ['bytes=-1', 0, 'unsatisfiable'],
  ['bytes=0-', 0, 'unsatisfiable'],
  ['bytes=x', 10, 'unsatisfiable'],
])('finds what %s asks for of %d bytes', ([header, size, found]) => {
  expect(parseRange(header, size)).toEqual(Array.isArray(found) ? { start: found[0], end: found[1] } : found)
})

it.for<[header: string | undefined, found: [number, number] | 'invalid' | undefined]>([
  [undefined, undefined],
  ['0-9', [0, 10]],
  [' 5-9 ', [5, 10]],
  ['bytes 0-9/10', [0, 10]],
  ['bytes 0-9/*', [0, 10]],
  ['9-0', 'invalid'],
  ['', 'invalid'],
  ['0-', 'invalid'],
  ['-9', 'invalid'],
  ['0-9999999999999999', 'invalid'],
  ['bytes=0-9', 'invalid'],
])('finds where the chunk %s lies', ([header, found]) => {
  expect(parseContentRange(header)).toEqual(Array.isArray(found) ? { start: found[0], end: found[1] } : found)
})
