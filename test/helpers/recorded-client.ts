/** What clients do to manifests and tags, with what became of it, as each can tell. */
import type { Digest } from '../../oci/names.ts'
import type { History, Outcome } from './history.ts'
import { digest, mediaTypes } from './images.ts'
import type { Operation, Step, Value } from './linearizable.ts'
import type { PatientClient, Reply } from './patient-client.ts'
import type { Repository } from './push.ts'

export interface RecordedManifest {
  readonly digest: Digest
  readonly bytes: Buffer
}

/** A repository with all that was pushed to it. */
export interface Place extends Repository {
  readonly manifests: RecordedManifest[]
  /** Blobs that were acknowledged, with their sizes. */
  readonly blobs: Map<Digest, number>
  readonly deletes: { readonly of: Digest; readonly outcome: Outcome; readonly certain: boolean }[]
}

/** What a push of a tag demands, in words for the server and for the judge. */
export interface Demand {
  readonly headers: Readonly<Record<string, string>>
  readonly onlyIf: (now: Value) => boolean
}

export interface RecordedClient {
  push(place: Place, manifest: RecordedManifest, tag: string, demand?: Demand): Promise<void>
  /** Where a tag points, with the manifest's bytes for GET; undefined: no answer. */
  read(place: Place, tag: string, method: 'GET' | 'HEAD'): Promise<{ found: Value; body: Buffer } | undefined>
  deleteTag(place: Place, tag: string): Promise<void>
  deleteManifest(place: Place, manifest: RecordedManifest): Promise<void>
  /** Reads a manifest by its digest. */
  look(place: Place, manifest: RecordedManifest): Promise<void>
  /** Why what was recorded of a place cannot have happened. */
  judge(place: Place): readonly string[]
}

export interface RecordedClientParts {
  readonly client: PatientClient
  readonly history: History
  /** Counts what was done. */
  readonly count: (what: string) => void
  /** Hears of what a server must not say. */
  readonly accuse: (what: string) => void
}

/** What the register of a manifest holds that is there. */
const there = 'there'
// Who is told so may have come second, or to a tag that led nowhere any more.
const deleted: Step = { kind: 'write', to: undefined }
const tagOf = ({ name }: Place, tag: string) => `${name}:${tag}`
const manifestOf = ({ name }: Place, of: Digest) => `${name}@${of}`
const urlOf = ({ name, address }: Place, reference: string) =>
  new URL(`/v2/${name}/manifests/${reference}`, address)

export function recordedClient({ client, history, count, accuse }: RecordedClientParts): RecordedClient {
  function expectOutage({ status, what, body }: Reply): void {
    count('without a known end')
    if (status >= 400 && status < 500) accuse(`${what} was answered ${status}: ${body}`)
  }

  async function remove(place: Place, reference: string, register: string): Promise<Reply> {
    const reply = await client.ask(urlOf(place, reference), { method: 'DELETE' })
    if (reply.status === 202) history.happened(register, deleted, reply)
    else if (reply.status === 404)
      history.answered(register, deleted, { kind: 'read', found: undefined }, reply)
    else {
      history.unknown(register, deleted, reply)
      expectOutage(reply)
    }
    return reply
  }

  /** Deletes of manifests that a tag may have led to: it leads nowhere after them. */
  function deletesFor(place: Place, register: string): Operation[] {
    const written = new Set(history.of(register).map(({ step }) => step.kind === 'write' && step.to))
    return place.deletes
      .filter(({ of }) => written.has(of))
      .map(({ of, outcome, certain }) => ({
        step: { kind: 'drop', of },
        calledMs: outcome.calledMs,
        returnedMs: certain ? outcome.returnedMs : Number.POSITIVE_INFINITY,
        what: outcome.what,
      }))
  }

  return {
    async push(place, manifest, tag, demand) {
      const headers = { 'Content-Type': mediaTypes.oci.manifest, ...demand?.headers }
      const body = new Uint8Array(manifest.bytes)
      const reply = await client.ask(urlOf(place, tag), { method: 'PUT', headers, body })
      const step: Step = { kind: 'write', to: manifest.digest, ...(demand && { onlyIf: demand.onlyIf }) }
      const own: Step = { kind: 'write', to: there }
      const [tagged, kept] = [tagOf(place, tag), manifestOf(place, manifest.digest)]
      if (reply.status === 201) {
        history.happened(tagged, step, reply)
        history.happened(kept, own, reply)
        count(demand ? 'push on a condition' : 'push')
      } else if (reply.status === 412 && demand) {
        history.answered(tagged, step, { kind: 'refused', onlyIf: demand.onlyIf }, reply)
        history.unknown(kept, own, reply)
        count('refused push')
      } else {
        history.unknown(tagged, step, reply)
        history.unknown(kept, own, reply)
        expectOutage(reply)
      }
    },

    async read(place, tag, method) {
      const headers = { Accept: mediaTypes.oci.manifest }
      const reply = await client.ask(urlOf(place, tag), { method, headers })
      const found = reply.status === 200 ? (reply.headers.get('Docker-Content-Digest') ?? '') : undefined
      if (found === undefined && reply.status !== 404) {
        expectOutage(reply)
        return undefined
      }
      history.happened(tagOf(place, tag), { kind: 'read', found }, reply)
      count('read of a tag')
      if (method === 'GET' && found !== undefined && digest(reply.body) !== found)
        accuse(`${reply.what}: other bytes than ${found}`)
      return { found, body: reply.body }
    },

    async deleteTag(place, tag) {
      await remove(place, tag, tagOf(place, tag))
      count('delete of a tag')
    },

    async deleteManifest(place, { digest: of }) {
      const reply = await remove(place, of, manifestOf(place, of))
      place.deletes.push({ of, outcome: reply, certain: reply.status === 202 })
      count('delete of a manifest')
    },

    async look(place, { digest: of }) {
      const reply = await client.ask(urlOf(place, of))
      if (![200, 404].includes(reply.status)) accuse(`${reply.what} is answered ${reply.status}`)
      const found = reply.status === 200 ? there : undefined
      if (found && digest(reply.body) !== of) accuse(`${reply.what} holds other bytes`)
      history.happened(manifestOf(place, of), { kind: 'read', found }, reply)
    },

    judge(place) {
      const own = history.registers().filter(name => /^[^:@]+/.exec(name)?.[0] === place.name)
      return own.flatMap(register => {
        const more = register.includes('@') ? [] : deletesFor(place, register)
        const fault = history.fault(register, more)
        return fault === undefined ? [] : [`${register} was no register: ${fault}`]
      })
    },
  }
}
