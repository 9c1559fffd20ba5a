/** What is accepted of a bucket's settings, and most likely not meant. */
import { isIP } from 'node:net'
import { networkList } from './client-networks.ts'
import type { Settings } from './config.ts'

/** Where clients in Go's go-containerregistry (crane, ko, kaniko) let nobody send them by a bare address. */
const isPrivate = networkList([
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '169.254.0.0/16',
  'fc00::/7',
  'fe80::/10',
])

export interface Doubt {
  readonly setting: string
  readonly text: string
}

export function bucketDoubts({ url, storage: { s3 } }: Pick<Settings, 'url' | 'storage'>): readonly Doubt[] {
  if (s3.bucket === undefined) return []
  const host = s3.endpoint === undefined ? '' : new URL(s3.endpoint).hostname.replace(/^\[|\]$/g, '')
  const isRefused = s3.redirect !== false && isIP(host) !== 0 && isPrivate(host)
  return [
    ...(url === undefined
      ? [
          {
            setting: 'url',
            text: 'a bucket may have many servers, and clients go on at whichever they are sent to: set url to what all of them are called',
          },
        ]
      : []),
    ...(isRefused
      ? [
          {
            setting: 'storage.s3.endpoint',
            text: `${host} is an address of a private network, to which some clients let nobody send them (crane and others: "SSRF protection"): give the store a host name here, or set storage.s3.redirect: false`,
          },
        ]
      : []),
  ]
}
