import type { IncomingMessage } from 'node:http'
import type { ParameterizedContext } from 'koa'
import type { AccessPolicy } from '../auth/access.ts'
import type { AuditLog } from '../auth/audit-log.ts'
import type { Caller } from '../auth/authenticator.ts'
import type { View } from '../auth/directory.ts'
import type { FileReceiver } from '../kernel/receiver.ts'
import type { FileSender } from '../kernel/sender.ts'
import type { Io } from '../oci/io.ts'
import type { Tag } from '../oci/names.ts'
import type { Registry, TagChange } from '../storage/registry.ts'
import type { AccessControl } from './access-control.ts'
import type { Answer } from './answer.ts'
import type { RefusedLogin } from './audited.ts'
import type { Pace } from './body.ts'
import type { ClientAddresses } from './client-address.ts'
import type { Observe } from './observe.ts'
import type { Operation } from './operations.ts'
import type { LimitRate } from './request-rates.ts'

/** All that handlers may use. */
export interface Services {
  readonly registry: Registry
  readonly access: AccessControl
  readonly limitRate: LimitRate
  readonly clients: Pick<ClientAddresses, 'of'>
  readonly observe: Observe
  readonly audit: Pick<AuditLog, 'note'>
  /** How fast bodies must arrive. */
  readonly pace: Pace
  /** Largest manifest that is accepted, in bytes. */
  manifestBytes(): number
  /** Whether a client at this address fetches from the store by itself what can be had there. */
  redirects(address: string | undefined): boolean
  /** What clients call this registry, in front of a path; nothing where they know best. */
  url(): string
  /** The fast way out for local files, where there is one by now. */
  sender(): FileSender | undefined
  /** The fast way into local files, where there is one by now. */
  receiver(): FileReceiver | undefined
}

/** What is known of a request, in the order in which it becomes known. */
export interface RequestState {
  readonly id: string
  readonly io: Io
  /** The address of who asks, as far as it is known; of a proxy only where it speaks for nobody else. */
  readonly client: string | undefined
  operation?: Operation
  answer?: Answer
  /** Nobody, who may do nothing, until it is known. */
  caller: Caller
  /** Who there is and what they may do, as the request found it; only where that was asked. */
  view?: View
  /** What was shown and did not do. */
  refused?: RefusedLogin | undefined
  /** What became of tags. */
  tagChanges?: Map<Tag, TagChange>
}

const nothing: AccessPolicy = { permits: () => false, permitsEverywhere: () => false, reach: () => [] }

export const nobody: Caller = {
  principal: { kind: 'anonymous' },
  by: 'nothing',
  credential: undefined,
  policy: nothing,
  holder: nothing,
}

/** What a request asks for, as it was sent. A client may put the origin in front (RFC 9112, 3.2.2). */
export const targetOf = (req: IncomingMessage): string =>
  (req.url ?? '').replace(/^https?:\/\/[\w.:[\]-]+/i, '')

export type Context = ParameterizedContext<RequestState>
