/** What goes into the audit of what is asked of the server: who logs in, who changes what, and what a protection refused. */
import type { Middleware } from 'koa'
import { type PrincipalName, parsePrincipalName, wordOf } from '../auth/access.ts'
import type { AuditDetail } from '../auth/audit.ts'
import type { AuditLog, AuditNote } from '../auth/audit-log.ts'
import type { Caller, Refusal } from '../auth/authenticator.ts'
import type { Credentials } from '../auth/credentials.ts'
import type { View } from '../auth/directory.ts'
import { repeats } from '../auth/rates.ts'
import { isDigest, type Reference, type RepositoryName } from '../oci/names.ts'
import type { TagChange } from '../storage/registry.ts'
import type { Context, RequestState } from './context.ts'
import type { Kind, Operation, OperationOf } from './operations.ts'
import { Protected } from './protected-registry.ts'

/** What an audit line says of an operation beside who asked, and how that ended. */
type Told = Pick<AuditNote, 'action' | 'target' | 'detail'>

interface Trace {
  /** What has been done, given the status of the answer; nothing where nothing was. */
  done(status: number): readonly Told[]
  /** What was meant to be done. */
  readonly meant: Told
}

type Tell<K extends Kind> = (operation: OperationOf<K>, changes: readonly TagChange[]) => Trace

/** Bytes alone show nothing and change nothing: a push is told by its manifest. But a protection can refuse them. */
const bytes = ({ name }: { readonly name: RepositoryName }): Trace => ({
  done: () => [],
  meant: { action: 'push', target: name },
})

/** Every operation there is; undefined for those that change nothing. */
const traces: { readonly [K in Kind]: Tell<K> | undefined } = {
  ping: undefined,
  headBlob: undefined,
  getBlob: undefined,
  headManifest: undefined,
  getManifest: undefined,
  startUpload: bytes,
  receiveBlob: bytes,
  appendUpload: bytes,
  finishUpload: bytes,
  uploadStatus: undefined,
  cancelUpload: undefined,
  putManifest: ({ name, reference }, changes) => {
    const moved = changes.filter(({ from, to }) => from !== undefined && from !== to)
    const [after] = changes.flatMap(({ to }) => to ?? [])
    const push = { action: 'push', target: targetOf(name, reference) } as const
    return {
      meant: push,
      done: () => [
        { ...push, ...(!isDigest(reference) && { detail: { after } }) },
        ...moved.map(({ tag, from, to }) => ({
          action: 'tag.move' as const,
          target: targetOf(name, tag),
          detail: { before: from, after: to },
        })),
      ],
    }
  },
  deleteManifest: ({ name, reference }, changes) => {
    const target = targetOf(name, reference)
    const tags = changes.map(({ tag, from }) => ({ target: targetOf(name, tag), detail: { before: from } }))
    const all = isDigest(reference) ? [{ target }, ...tags] : tags
    return {
      meant: { action: 'delete', target },
      done: () => all.map(each => ({ action: 'delete', ...each })),
    }
  },
  deleteBlob: ({ name, digest }) => {
    const told = { action: 'delete', target: targetOf(name, digest) } as const
    return { meant: told, done: () => [told] }
  },
  mountBlob: ({ name, digest, from }) => {
    const detail = { ...(from && { before: targetOf(from, digest) }) }
    const told = { action: 'mount', target: targetOf(name, digest), detail } as const
    // What could not be mounted is uploaded instead.
    return { meant: told, done: status => (status === 201 ? [told] : []) }
  },
  listTags: undefined,
  listReferrers: undefined,
  catalog: undefined,
  search: undefined,
  searchPing: undefined,
  issueToken: undefined,
  issueTokenByForm: undefined,
  signingKeys: undefined,
  alive: undefined,
  ready: undefined,
}

/** A login that was refused, as far as it may be told. */
export interface RefusedLogin {
  readonly reason: Exclude<Refusal['refused'], 'invalid-token'>
  /** Who it would have been. Undefined unless somebody is called so: what was typed as a name may be a password. */
  readonly account: PrincipalName | undefined
  /** What more is known of it. For the log: whoever asked learns only that it was refused. */
  readonly because: string | undefined
}

/** Undefined where no secret was shown, but a token of ours that has ended. */
export function refusedLogin(refusal: Refusal, shown: Credentials, view: View): RefusedLogin | undefined {
  const { refused: reason } = refusal
  if (reason === 'invalid-token') return undefined
  const because = refusal.refused === 'wrong' ? refusal.because : undefined
  const name = shown.kind === 'basic' ? parsePrincipalName(shown.username) : undefined
  const isKnown = name !== undefined && (view.user(name) !== undefined || view.htpasswd.has(name))
  return { reason, account: isKnown ? name : undefined, because }
}

/** Remembers which tags a request has changed. The storage may try several times, and ask again for what is done. */
export const rememberTags =
  ({ state }: Context) =>
  (change: TagChange): void => {
    state.tagChanges ??= new Map()
    const { tag, from, to } = change
    if (from !== to || !state.tagChanges.has(tag)) state.tagChanges.set(tag, change)
  }

export function audited(audit: Pick<AuditLog, 'note'>): Middleware<RequestState> {
  const isRepeated = repeats()

  function noteLogin(ctx: Context): void {
    const { caller, refused } = ctx.state
    const isLogin = refused || !['nothing', 'issued'].includes(caller.by)
    if (!isLogin) return
    const note: AuditNote = refused
      ? {
          ...whoOf(ctx),
          action: 'login',
          target: refused.account && wordOf({ kind: 'user', name: refused.account }),
          result: 'refused',
          detail: { reason: refused.reason },
        }
      : { ...whoOf(ctx), action: 'login', result: 'done' }
    if (!isRepeated(JSON.stringify(note))) audit.note(note)
  }

  return async (ctx, next) => {
    try {
      await next()
    } catch (error) {
      noteLogin(ctx)
      const meant = error instanceof Protected ? traceOf(ctx)?.meant : undefined
      if (meant && error instanceof Protected) {
        const detail: AuditDetail = { ...meant.detail, protection: error.protection }
        audit.note({ ...whoOf(ctx), ...meant, detail, result: 'refused' })
      }
      throw error
    }
    noteLogin(ctx)
    for (const told of traceOf(ctx)?.done(ctx.state.answer?.status ?? 0) ?? [])
      audit.note({ ...whoOf(ctx), ...told, result: 'done' })
  }
}

function traceOf({ state }: Context): Trace | undefined {
  const { operation, tagChanges } = state
  if (!operation) return undefined
  // TypeScript cannot see that a table's entry fits the operation whose kind it was found by.
  const tell = traces[operation.kind] as
    | ((operation: Operation, changes: readonly TagChange[]) => Trace)
    | undefined
  return tell?.(operation, [...(tagChanges?.values() ?? [])])
}

function whoOf({ state: { caller, client } }: Context): Pick<AuditNote, 'actor' | 'via' | 'ip'> {
  return { actor: wordOf(caller.principal), via: viaOf(caller), ip: client }
}

/** A token of ours stands for what it was issued for. */
function viaOf({ by, credential }: Caller): string {
  if (credential === undefined) return by === 'issued' ? 'nothing' : by
  const [kind = ''] = credential.split(':')
  return kind === 'token' ? credential : kind
}

const targetOf = (name: RepositoryName, reference: Reference) =>
  `${name}${isDigest(reference) ? '@' : ':'}${reference}`
