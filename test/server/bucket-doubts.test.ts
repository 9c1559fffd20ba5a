import { describe, expect, it } from 'vitest'
import { bucketDoubts } from '../../server/bucket-doubts.ts'
import { load } from '../helpers/settings.ts'

const named = 'url: https://reg.acme.dev'
const doubted = (s3: string, more = named) =>
  bucketDoubts(load({ yaml: `${more}\nstorage: { s3: { ${s3} } }\n` }).settings).map(({ setting }) => setting)

it('wants to know what clients call servers of a bucket', () => {
  expect(doubted('bucket: images', '')).toEqual(['url'])
  expect(doubted('bucket: images')).toEqual([])
  expect(bucketDoubts(load().settings)).toEqual([])
})

describe('where clients are sent', () => {
  it.for(['10.1.2.3', '172.31.0.1', '192.168.0.10', '169.254.1.1', '[fd00::1]', '[fe80::1]'])(
    'is better not %s',
    host => {
      const at = `bucket: images, endpoint: "http://${host}:9000"`
      expect(doubted(at)).toEqual(['storage.s3.endpoint'])
      expect(doubted(`${at}, redirect: [10.9.0.0/16]`)).toEqual(['storage.s3.endpoint'])
      expect(doubted(`${at}, redirect: false`)).toEqual([])
    },
  )

  it.for(['s3.acme.dev', '10.acme.dev', '172.32.0.1', '192.0.2.1', '127.0.0.1', '[2001:db8::1]'])(
    'may be %s',
    host => expect(doubted(`bucket: images, endpoint: "http://${host}:9000"`)).toEqual([]),
  )
})
