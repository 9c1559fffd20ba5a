import { codeOf } from '../oci/errors.ts'
import { ClientError } from './client-error.ts'

/** What to say, and what to do, about a host that a request did not get through to; any other error as it is. */
export function unreachable(url: URL, error: unknown): unknown {
  const code = codeOf(error)
  if (code === undefined || !(error instanceof Error) || error instanceof ClientError) return error
  const reason = code.startsWith('HPE_') ? 'it does not speak HTTP' : (reasons[code] ?? error.message)
  const advice = url.protocol === 'http:' ? (perhapsTls[reason] ?? '') : ''
  return new ClientError(`${url.host} cannot be reached: ${reason}${advice}`, { cause: error })
}

const cutOff = 'it ended the connection: try again'

/** What a server that expects TLS makes of plain HTTP. */
const perhapsTls: Readonly<Record<string, string>> = {
  'it does not speak HTTP': ': use --tls if it is meant to speak TLS',
  [cutOff]: ', or use --tls if it is meant to speak TLS',
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there: check the host and the port',
  ENOTFOUND: 'there is no such host: check its name',
  EAI_AGAIN: 'its name cannot be looked up now: check the network',
  ECONNRESET: cutOff,
  EPIPE: cutOff,
  ETIMEDOUT: 'it does not answer: check the network',
  EHOSTUNREACH: 'there is no way to it: check the network',
  ENETUNREACH: 'there is no way to it: check the network',
  EPROTO: 'it does not speak TLS: use --plain-http if it is meant not to',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS: use --plain-http if it is meant not to',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS: use --plain-http if it is meant not to',
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted(),
  SELF_SIGNED_CERT_IN_CHAIN: untrusted(),
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted(),
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted(),
  CERT_HAS_EXPIRED: 'its certificate has expired: renew it',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for other names: use one of them',
}

function untrusted(): string {
  return 'its certificate is signed by nobody known: name a file with the signer in NODE_EXTRA_CA_CERTS'
}
