/** How much one may ask for: a bucket for each principal, or for the address of who is nobody (auth-security 3.3, row 44). */
import { type Principal, wordOf } from '../auth/access.ts'
import { networkOf } from '../auth/networks.ts'
import { hotKeys, type Rate, rateLimit, type TakeTurn } from '../auth/rates.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Kind, Operation } from './operations.ts'

/** What is not there is not limited. */
export interface RequestRates {
  /** Tokens, for each address: who asks is found out only then, and finding out is what costs. */
  readonly tokens?: Rate
  /** Manifests, tags and listings. */
  readonly manifests?: Rate
  readonly blobs?: Rate
}

/** Takes a turn for a request, or throws TOO_MANY_REQUESTS. Without a principal it is the address that counts. */
export type LimitRate = (operation: Operation, principal: Principal | undefined, address: string) => void

const rateOf = {
  ping: undefined,
  headBlob: 'blobs',
  getBlob: 'blobs',
  deleteBlob: 'blobs',
  startUpload: 'blobs',
  mountBlob: 'blobs',
  receiveBlob: 'blobs',
  appendUpload: 'blobs',
  finishUpload: 'blobs',
  uploadStatus: 'blobs',
  cancelUpload: 'blobs',
  headManifest: 'manifests',
  getManifest: 'manifests',
  putManifest: 'manifests',
  deleteManifest: 'manifests',
  listTags: 'manifests',
  listReferrers: 'manifests',
  catalog: 'manifests',
  search: 'manifests',
  searchPing: undefined,
  issueToken: 'tokens',
  issueTokenByForm: 'tokens',
  signingKeys: undefined,
  alive: undefined,
  ready: undefined,
} as const satisfies Record<Kind, keyof RequestRates | undefined>

/** Milliseconds that never go back. */
const now = () => performance.now()

export function requestRates(rates: () => RequestRates): LimitRate {
  // By the rate itself: one that the settings change begins anew.
  const turns = new WeakMap<Rate, TakeTurn>()
  const isHot = hotKeys(now)

  return (operation, principal, address) => {
    const kind = rateOf[operation.kind]
    const rate = kind && rates()[kind]
    if (!rate) return
    const take = turns.get(rate) ?? rateLimit(rate, now)
    turns.set(rate, take)
    const from = `address ${networkOf(address).host}`
    const isNobody = principal === undefined || principal.kind === 'anonymous'
    const who = isNobody ? from : wordOf(principal)
    // A layer that everybody pulls at once is nobody's doing, and half an image helps nobody. One robot can be many.
    const isOfBlob = operation.kind === 'getBlob' || operation.kind === 'headBlob'
    if (isOfBlob && isHot(operation.digest, `${who} ${from}`)) return
    const waitSeconds = take(who)
    if (waitSeconds > 0)
      throw new RegistryError('TOO_MANY_REQUESTS', { headers: { 'Retry-After': String(waitSeconds) } })
  }
}
