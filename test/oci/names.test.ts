import { expect, it } from 'vitest'
import {
  algorithmOf,
  digestOf,
  hexOf,
  isDigest,
  parseDigest,
  parseReference,
  parseRepositoryName,
  parseTag,
} from '../../oci/names.ts'
import { fault } from '../helpers/waiting.ts'

const hex = '0123456789abcdef'.repeat(4)

function faultOf(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  throw new Error('nothing was refused')
}

it.for([
  'a',
  'a/b',
  'library/alpine',
  'a.b',
  'a_b',
  'a__b',
  'a-b',
  'a----b',
  '0/1/2',
  'tags/list',
  'a/blobs/uploads',
  'v2',
  'a'.repeat(200),
  Array.from({ length: 32 }, () => 'a').join('/'),
])('takes the repository name %s', text => {
  expect(parseRepositoryName(text)).toBe(text)
})

it.for([
  '',
  'A',
  '/a',
  'a/',
  'a//b',
  '.a',
  'a.',
  'a..b',
  'a___b',
  '_a',
  'a-',
  'a/-b',
  'a b',
  'ä',
  'a:b',
  'a@b',
  '_catalog',
  'a\n',
  '../a',
  'a/../b',
  'a'.repeat(201),
  Array.from({ length: 33 }, () => 'a').join('/'),
])('refuses the repository name %j', text => {
  expect(faultOf(() => parseRepositoryName(text))).toMatchObject(fault('NAME_INVALID'))
})

it.for(['a', 'A', '_', '1.2.3', 'v1-rc.1', 'a'.repeat(128), '_.-'])('takes the tag %s', text => {
  expect(parseTag(text)).toBe(text)
  expect(isDigest(parseReference(text))).toBe(false)
})

it.for(['', '.a', '-a', 'a/b', 'a b', 'a'.repeat(129), 'é', 'a\n'])('refuses the tag %j', text => {
  expect(faultOf(() => parseTag(text))).toMatchObject(fault('TAG_INVALID'))
})

it.for([
  ['sha256', hex],
  ['sha512', hex + hex],
] as const)('takes a digest by %s', ([algorithm, digits]) => {
  const found = parseDigest(`${algorithm}:${digits}`)
  expect([algorithmOf(found), hexOf(found)]).toEqual([algorithm, digits])
  expect(digestOf(algorithm, digits)).toBe(found)
  expect(isDigest(parseReference(found))).toBe(true)
})

it.for([
  '',
  ':',
  'sha256:',
  `sha256:${hex}0`,
  `sha256:${hex.slice(1)}`,
  `sha256:${hex.toUpperCase()}`,
  `md5:${hex}`,
  `sha512:${hex}`,
  `SHA256:${hex}`,
  `sha256:${hex}\n`,
  `sha256:${'g'.repeat(64)}`,
  `a:sha256:${hex}`,
])('refuses the digest %j', text => {
  expect(faultOf(() => parseDigest(text))).toMatchObject(fault('DIGEST_INVALID'))
})
