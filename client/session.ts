/** Requests to one registry: authorized, redirected, and refused in words. */
import type { Io } from '../oci/io.ts'
import { authorizer } from './authorizer.ts'
import { ClientError } from './client-error.ts'
import type { CredentialSource } from './credentials.ts'
import { type Answer, exchange, type Outgoing } from './exchange.ts'
import { addressIn } from './origin.ts'
import { discard } from './reading.ts'
import { refusal } from './refusal.ts'
import type { Scope } from './scopes.ts'

export interface Question extends Outgoing {
  /** A path of the registry, or an address that it gave. */
  readonly to: string | URL
  readonly scopes: readonly Scope[]
  /** What is asked, for messages: `localhost:5000/team/app:1`. */
  readonly what: string
  /** The statuses that answer it. */
  readonly expected: readonly number[]
}

export interface Session {
  readonly url: URL
  /** Throws ClientError when the answer is none of those expected, or there is none. */
  ask(question: Question, io: Io): Promise<Answer>
}

const maxRedirects = 5
const redirects = [301, 302, 303, 307, 308]

export function session(registry: URL, host: string, credentials: CredentialSource): Session {
  const authorization = authorizer(registry, host, credentials)

  /** Shows who we are to the registry, and to nobody else, wherever it sends us. */
  async function authorized(to: URL, { scopes, ...question }: Question, io: Io): Promise<Answer> {
    if (to.origin !== registry.origin) return exchange(to, question, io)
    const send = (header: string | undefined) =>
      exchange(
        to,
        { ...question, headers: { ...question.headers, ...(header ? { Authorization: header } : {}) } },
        io,
      )
    const header = await authorization.header(scopes, io)
    const answer = await send(header)
    if (answer.status !== 401) return answer
    const refused = { header, challenge: answer.headers['www-authenticate'] }
    const next = await authorization.renewed(refused, scopes, io).catch(error => {
      answer.body.destroy()
      throw error
    })
    if (next === undefined) return answer
    await discard(answer)
    return send(next)
  }

  async function follow(to: URL, question: Question, io: Io, left = maxRedirects): Promise<Answer> {
    const answer = await authorized(to, question, io)
    const isReading = question.method === 'GET' || question.method === 'HEAD'
    const { location } = answer.headers
    if (!isReading || !redirects.includes(answer.status) || location === undefined) return answer
    await discard(answer)
    if (left === 0)
      throw new ClientError(`${question.what}: ${host} redirects more than ${maxRedirects} times`)
    return follow(addressIn(to, location), question, io, left - 1)
  }

  return {
    url: registry,
    async ask(question, io) {
      const answer = await follow(new URL(question.to, registry), question, io)
      if (question.expected.includes(answer.status)) return answer
      const elsewhere = answer.url.origin === registry.origin ? '' : ` at ${answer.url.host}`
      throw await refusal(`${question.what}${elsewhere}`, answer)
    },
  }
}
