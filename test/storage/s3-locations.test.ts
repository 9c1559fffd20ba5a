/** Addresses for clients, by another's signature and with credentials that end. No store is asked. */
import { expect, it, vi } from 'vitest'
import { s3Bucket } from '../../storage/s3-bucket.ts'
import { type S3Settings, usualPatience } from '../../storage/s3-requests.ts'
import { presigned } from '../helpers/s3-signature.ts'
import { io } from '../helpers/waiting.ts'

const credentials = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
}
const aws = { bucket: 'images', region: 'eu-central-1', pathStyle: false, credentials }
const key = 'd/4f/01a1fde-a4f_x.Yz'
const nowMs = Date.UTC(2030, 0, 1, 12, 7)

async function locate(settings: S3Settings, at = nowMs): Promise<string | undefined> {
  const bucket = s3Bucket(settings, usualPatience, () => at)
  try {
    return await bucket.locate(key, io)
  } finally {
    bucket.close()
  }
}

it.for<[what: string, settings: S3Settings, address: string]>([
  ['AWS', aws, 'https://images.s3.eu-central-1.amazonaws.com/'],
  [
    'AWS with a prefix',
    { ...aws, prefix: 'team/a.b' },
    'https://images.s3.eu-central-1.amazonaws.com/team/a.b/',
  ],
  ['AWS by path', { ...aws, pathStyle: true }, 'https://s3.eu-central-1.amazonaws.com/images/'],
  ['AWS in China', { ...aws, region: 'cn-north-1' }, 'https://images.s3.cn-north-1.amazonaws.com.cn/'],
  ['a dotted bucket', { ...aws, bucket: 'a.b' }, 'https://s3.eu-central-1.amazonaws.com/a.b/'],
  [
    'a store by path',
    { ...aws, endpoint: 'http://10.0.0.7:9000', pathStyle: true },
    'http://10.0.0.7:9000/images/',
  ],
  ['a store by host', { ...aws, endpoint: 'https://s3.acme.dev' }, 'https://images.s3.acme.dev/'],
  [
    'a store in a path',
    { ...aws, endpoint: 'https://acme.dev/s3', pathStyle: true },
    'https://acme.dev/s3/images/',
  ],
])('signs an address of %s as anybody would', async ([, settings, address]) => {
  const made = new URL((await locate(settings)) ?? '')
  const plain = new URL(address + key)
  plain.search = 'response-content-disposition=attachment&response-content-type=application/octet-stream'
  const wanted = presigned(
    { method: 'GET', url: plain, headers: { host: plain.host } },
    { ...credentials, region: settings.region },
    { at: new Date(Date.UTC(2030, 0, 1, 12, 5)), expiresS: 600 },
  )
  expect(made.origin + made.pathname).toBe(address + key)
  expect(Object.fromEntries(made.searchParams)).toEqual(Object.fromEntries(wanted.searchParams))
})

it('says with which session credentials of a session are to be used, and makes nothing of those that end', async () => {
  for (const [name, value] of Object.entries({
    AWS_ACCESS_KEY_ID: 'ASIAEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_SESSION_TOKEN: 'token/with+signs==',
    AWS_CREDENTIAL_EXPIRATION: new Date(nowMs + 120_000).toISOString(),
  }))
    vi.stubEnv(name, value)
  const { credentials: _, ...settings } = aws
  const made = new URL((await locate(settings)) ?? '')
  expect(made.searchParams.get('X-Amz-Security-Token')).toBe('token/with+signs==')
  expect(made.searchParams.get('X-Amz-Credential')).toContain('ASIAEXAMPLE/')
  expect(made.search).toContain('X-Amz-Security-Token=token%2Fwith%2Bsigns%3D%3D&')
  expect(await locate(settings, nowMs + 61_000)).toBeUndefined()
})
