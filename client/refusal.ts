import { ClientError } from './client-error.ts'
import type { Answer } from './exchange.ts'
import { readAll } from './reading.ts'

const maxErrorBytes = 64 * 1024
const maxTextLength = 300

/** An answer that is not what was asked for, in one line. `what` says what was asked. */
export async function refusal(what: string, answer: Answer): Promise<ClientError> {
  const bytes = await readAll(answer, maxErrorBytes).catch(() => Buffer.alloc(0))
  const said = textOf(bytes)
  const wait = /^\d{1,6}$/.exec(answer.headers['retry-after'] ?? '')
  const advice = wait ? `: try again in ${wait[0]} s` : (hints[answer.status] ?? tlsHint(answer, bytes))
  return new ClientError(`${what}: ${answer.status}${said && ` ${said}`}${advice}`, { status: answer.status })
}

const hints: Readonly<Record<number, string>> = {
  401: ': log in with docker login',
  429: ': try again later',
}

/** What nginx and Go answer to plain HTTP where they expect TLS. */
function tlsHint({ status, url }: Answer, bytes: Buffer): string {
  const wantsTls = status === 400 && url.protocol === 'http:' && /\bHTTPS\b/.test(bytes.toString())
  return wantsTls ? ': it speaks TLS: use --tls' : ''
}

/** The errors that the distribution specification prescribes (Error Codes), or nothing. */
function textOf(bytes: Buffer): string {
  const all = errorsIn(bytes).flatMap(({ code, message }) => {
    const words = [code, message].filter(word => typeof word === 'string' && word !== '')
    return words.length > 0 ? [words.join(': ')] : []
  })
  return [...new Set(all)].join(', ').slice(0, maxTextLength)
}

function errorsIn(bytes: Buffer): { readonly code?: unknown; readonly message?: unknown }[] {
  try {
    const { errors } = JSON.parse(bytes.toString()) as { readonly errors?: unknown }
    return Array.isArray(errors) ? errors.filter(each => typeof each === 'object' && each !== null) : []
  } catch {
    return []
  }
}
