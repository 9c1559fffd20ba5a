/** A client of servers that come and go: it tells what it knows of each request, and goes on with what was cut off. */
import { createHash } from 'node:crypto'
import type { Digest } from '../../oci/names.ts'
import type { TestBlob } from './blob.ts'
import type { Outcome } from './history.ts'
import type { Repository } from './push.ts'
import { pause } from './until.ts'
import { finishUrl, slowRequest } from './upload.ts'

export interface Reply extends Outcome {
  /** 0: the connection ended without an answer. */
  readonly status: number
  readonly headers: Headers
  readonly body: Buffer
}

export type UploadWay = 'monolithic' | 'whole' | 'streamed' | 'chunks'

export interface PatientClient {
  /** Asks once. */
  ask(url: URL, init?: RequestInit): Promise<Reply>
  /** Sends a blob until it is acknowledged. Throws what a server must not say, and GaveUp. */
  push(repository: Repository, blob: TestBlob, way: UploadWay): Promise<void>
  /** The digest of a blob's bytes, or the status there is instead; asks again when it is cut off. */
  pull(repository: Repository, digest: Digest): Promise<Digest | number>
  readonly figures: ClientFigures
}

export interface ClientFigures {
  requests: number
  /** Requests whose connection ended without an answer, or that the proxy could pass on to nobody. */
  cutOff: number
  /** Answers of servers themselves that are 503. */
  unavailable: number
  /** Other answers from 500 on, and what else no server should say. */
  readonly wrong: string[]
  /** Requests that were given up without an answer. */
  readonly silent: string[]
  /** Uploads that went on from a byte behind the first. */
  resumed: number
  /** Uploads that had to be begun again. */
  restarted: number
  bytesIn: number
  bytesOut: number
}

/** The servers were away too long for a client's patience. */
class GaveUp extends Error {}

const mostTries = 60
/** How long a server may still be storing what came of a broken request. */
const mostConflicts = 20
const mostWaitMs = 400
/** Longer than the proxy waits for a server. */
const answerMs = 150_000
const breakOffMs = 30_000

export const blobUrl = ({ address, name }: Repository, path: string) =>
  new URL(`/v2/${name}/blobs/${path}`, address)

export function patientClient(): PatientClient {
  const figures: ClientFigures = {
    requests: 0,
    cutOff: 0,
    unavailable: 0,
    wrong: [],
    silent: [],
    resumed: 0,
    restarted: 0,
    bytesIn: 0,
    bytesOut: 0,
  }

  async function ask(url: URL, init: RequestInit = {}): Promise<Reply> {
    const calledMs = performance.now()
    figures.requests++
    const what = `${init.method ?? 'GET'} ${url.pathname}`
    try {
      const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(answerMs) })
      const body = Buffer.from(await answer.arrayBuffer())
      const { headers, status } = answer
      const tried = headers.get('X-Tried')?.split(', ').length ?? 1
      figures.bytesOut += body.length
      judge(what, headers.get('X-Statuses') ?? '', status, body)
      return { status, headers, body, calledMs, returnedMs: performance.now(), attempts: tried, what }
    } catch (error) {
      if (error instanceof DOMException) figures.silent.push(what)
      else if (!(error instanceof TypeError)) throw error
      figures.cutOff++
      const ended = { status: 0, headers: new Headers(), body: Buffer.alloc(0) }
      return { ...ended, calledMs, returnedMs: performance.now(), attempts: 2, what }
    }
  }

  /** 502 is what the proxy says of a server that it lost; every other status is a server's own. */
  function judge(what: string, statuses: string, status: number, body: Buffer): void {
    for (const said of statuses.split(', ').map(Number)) {
      if (said === 502 || Number.isNaN(said)) figures.cutOff++
      else if (said === 503) figures.unavailable++
      else if (said >= 500) figures.wrong.push(`${what} was answered ${statuses}: ${body.subarray(0, 300)}`)
    }
    if (status === 504) figures.wrong.push(`${what} was not answered in time`)
  }

  const isOutage = (status: number) => status === 0 || status === 429 || status >= 500
  const aMoment = () => pause(20 + Math.random() * mostWaitMs)

  /** Where an upload stands; undefined: nobody knows it any more, or two have written to it at once. */
  async function standing(url: URL): Promise<{ url: URL; size: number } | undefined> {
    for (let time = 0; time < mostTries; time++) {
      const reply = await ask(url)
      if (reply.status === 204) return at(reply, url)
      if (reply.status === 404 || (reply.status === 409 && time >= mostConflicts)) return undefined
      if (reply.status !== 409 && !isOutage(reply.status))
        throw new Error(`${reply.what} was answered ${reply.status}: ${reply.body}`)
      await aMoment()
    }
    throw new GaveUp(`no status of ${url.pathname}`)
  }

  async function begin(repository: Repository) {
    const reply = await ask(blobUrl(repository, 'uploads/'), { method: 'POST' })
    return reply.status === 202 ? at(reply, blobUrl(repository, 'uploads/')) : reply
  }

  /** Sends part of a body and vanishes. */
  async function breakOff(url: URL, bytes: Buffer, size: number): Promise<void> {
    const headers = { 'Content-Range': `${size}-${bytes.length - 1}` }
    // Not a single one, as an upload of one byte is said to stand where an empty one does: 0-0.
    const part = bytes.subarray(size, size + Math.max(2, Math.floor((bytes.length - size) * Math.random())))
    const broken = async () => {
      await using request = await slowRequest('PATCH', url, bytes.length - size, { headers })
      await request.send(part)
    }
    // Perhaps nobody is there to hear it.
    await Promise.race([broken().catch(() => {}), pause(breakOffMs)])
  }

  /** One go at an upload: true when it is acknowledged, false when it has to be begun again. */
  async function upload(repository: Repository, blob: TestBlob, way: UploadWay): Promise<boolean> {
    const { bytes, digest } = blob
    if (way === 'monolithic') {
      const url = finishUrl(blobUrl(repository, 'uploads/'), digest)
      return accepted(await ask(url, { method: 'POST', body: new Uint8Array(bytes) }), [201])
    }
    let now = await begin(repository)
    if ('status' in now) return accepted(now, [])
    let said = ''
    for (let time = 0; time < mostTries; time++) {
      const { url, size } = now
      const isLast = way === 'whole' || size === bytes.length
      if (!isLast && way === 'chunks' && Math.random() < 0.3) await breakOff(url, bytes, size)
      else {
        const reply = isLast
          ? await ask(finishUrl(url, digest), { method: 'PUT', body: new Uint8Array(bytes.subarray(size)) })
          : await ask(url, patch(bytes, size, time === 0 ? way : 'chunks'))
        if (reply.status === 201) return true
        if (reply.status === 404) return false
        if (reply.status === 202) {
          now = at(reply, url)
          continue
        }
        said = `${reply.what} at ${size}: ${reply.status} ${reply.body}`
        if (![409, 416].includes(reply.status)) accepted(reply, [])
        await aMoment()
      }
      const found = await standing(url)
      if (!found) return false
      if (found.size > 0) figures.resumed++
      now = found
    }
    throw new GaveUp(`upload of ${digest}, ${bytes.length} bytes: ${said}`)
  }

  return {
    figures,
    ask,

    async push(repository, blob, way) {
      for (let time = 0; time < mostTries; time++) {
        if (await upload(repository, blob, way)) {
          figures.bytesIn += blob.bytes.length
          return
        }
        figures.restarted++
        await aMoment()
      }
      throw new GaveUp(`push of ${blob.digest}`)
    },

    async pull(repository, digest) {
      for (let time = 0; time < mostTries; time++) {
        const reply = await ask(blobUrl(repository, digest))
        if (reply.status === 200)
          return `sha256:${createHash('sha256').update(reply.body).digest('hex')}` as Digest
        if (!isOutage(reply.status)) return reply.status
        await aMoment()
      }
      throw new GaveUp(`pull of ${digest}`)
    },
  }

  /** False after an outage; throws what a server must not say. */
  function accepted({ status, what, body }: Reply, statuses: readonly number[]): boolean {
    if (statuses.includes(status)) return true
    if (!isOutage(status)) throw new Error(`${what} was answered ${status}: ${body}`)
    return false
  }
}

const MiB = 1024 * 1024

function patch(bytes: Buffer, size: number, way: UploadWay): RequestInit {
  // Only what nothing of has been sent before: what goes on says from where.
  if (way === 'streamed') return { method: 'PATCH', body: new Uint8Array(bytes.subarray(size)) }
  const end = Math.min(bytes.length, size + Math.ceil(Math.random() * 12 * MiB))
  const headers = { 'Content-Range': `${size}-${end - 1}` }
  return { method: 'PATCH', headers, body: new Uint8Array(bytes.subarray(size, end)) }
}

function at({ headers }: Reply, url: URL): { url: URL; size: number } {
  const last = Number(/^0-(\d+)$/.exec(headers.get('Range') ?? '')?.[1])
  return { url: new URL(headers.get('Location') ?? '', url), size: last === 0 ? 0 : last + 1 }
}
