import { expect, it } from 'vitest'
import { settingTexts } from '../../cli/check.ts'
import { reloaded } from '../../server/config.ts'
import type { ServePlan } from '../../server/plan.ts'
import { faults, type Given, load } from '../helpers/settings.ts'

const redirectOf = (given: Given) => load(given).settings.storage.s3.redirect
const yaml = (redirect: string) => ({ yaml: `storage:\n  s3:\n    redirect: ${redirect}\n` })

it.for<[given: Given, redirect: unknown, text: string]>([
  [{}, true, 'true'],
  [yaml('true'), true, 'true'],
  [yaml('false'), false, 'false'],
  [yaml('10.0.0.0/8'), ['10.0.0.0/8'], 'true, but for 10.0.0.0/8'],
  [yaml('[10.0.0.0/8, "fd00::/8"]'), ['10.0.0.0/8', 'fd00::/8'], 'true, but for 10.0.0.0/8, fd00::/8'],
  [{ env: { SLIPWAY_STORAGE_S3_REDIRECT: 'false' } }, false, 'false'],
  [
    { env: { SLIPWAY_STORAGE_S3_REDIRECT: '10.0.0.7, 10.1.0.0/16' } },
    ['10.0.0.7/32', '10.1.0.0/16'],
    'true, but for 10.0.0.7/32, 10.1.0.0/16',
  ],
])('reads %j as %j', ([given, redirect, text]) => {
  expect(redirectOf(given)).toEqual(redirect)
  // Of a plan only the settings are looked at.
  expect(settingTexts['storage.s3.redirect']?.({ settings: load(given).settings } as ServePlan)).toBe(text)
})

it.for([
  ['sometimes', '"sometimes"'],
  ['[true, 10.0.0.0/8]', 'a list'],
  ['[true, false]', 'a list'],
  ['[]', 'a list'],
  ['10.0.0.0/40', '"10.0.0.0/40"'],
  ['[10.0.0.0/8, office]', '"office"'],
] as const)('refuses %s', ([redirect, found]) => {
  expect(faults(yaml(redirect))).toEqual([
    `slipway.yaml:3: storage.s3.redirect: expected true, false or a list of networks, such as: 10.0.0.0/8, fd00::/8, found ${found}`,
  ])
})

it('is taken by a running server, unlike the rest of the bucket', () => {
  const before = load(yaml('true')).settings
  const after = load({ yaml: 'storage:\n  s3:\n    bucket: other\n    redirect: false\n' }).settings
  const { s3 } = reloaded(before, after).storage
  expect([s3.redirect, s3.bucket]).toEqual([false, undefined])
})
