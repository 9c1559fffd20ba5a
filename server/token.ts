/**
 * The token server: Docker's token protocol by GET, OAuth2 by POST (auth-security 1.2 to 1.6). Asking for more than one
 * may do is no error: the token says what was granted.
 */
import type { Caller, Refusal } from '../auth/authenticator.ts'
import { type Credentials, parseAuthorization } from '../auth/credentials.ts'
import type { View } from '../auth/directory.ts'
import { published } from '../auth/keys.ts'
import { formatScopes, grantedOf } from '../auth/scopes.ts'
import { parseSecret } from '../auth/secrets.ts'
import { RegistryError } from '../oci/errors.ts'
import { type Answer, json } from './answer.ts'
import { refusedLogin } from './audited.ts'
import { addressOf } from './authorize.ts'
import { readBody } from './body.ts'
import type { Context, Services } from './context.ts'
import type { OperationOf } from './operations.ts'
import { parseTokenRequest, type TokenRequest } from './token-request.ts'

/** More than a client has to say: a password, a workload's token, 64 scopes. */
const maxFormBytes = 64 * 1024

const secretHeaders = { 'Cache-Control': 'no-store', Pragma: 'no-cache' }

export async function issueToken(services: Services, ctx: Context, request: OperationOf<'issueToken'>) {
  const credentials = parseAuthorization(ctx.req.headers.authorization)
  // A token of ours is for the registry; by one of them nobody gets another.
  const shown: Credentials = credentials.kind === 'bearer' ? { kind: 'unreadable' } : credentials
  const issued = await issue(services, ctx, shown, request)
  return 'refusal' in issued ? issued.refusal : json(issued.token, secretHeaders)
}

export async function issueTokenByForm(services: Services, ctx: Context) {
  const form = await readForm(services, ctx)
  const grant = form.get('grant_type') ?? ''
  if (!isGrant(grant))
    return failed(new RegistryError('REQUEST_INVALID', { message: 'unknown grant_type' }), {
      error: 'unsupported_grant_type',
    })
  const request = parseTokenRequest(form)
  const issued = await issue(services, ctx, credentialsOf[grant](form, services), request)
  if ('refusal' in issued) return issued.refusal
  const { scope } = issued
  return json({ ...issued.token, token_type: 'bearer', scope, ...extras[grant] }, secretHeaders)
}

export async function signingKeys({ access }: Services, ctx: Context) {
  const keys = published(await access.keys(ctx.state.io))
  return json(keys, { 'Cache-Control': 'public, max-age=300' }, 200, 'application/jwk-set+json')
}

type Issued =
  | { readonly refusal: Answer }
  | {
      /** By both names that clients know; without the time of issue, as clients' clocks differ. */
      readonly token: { readonly token: string; readonly access_token: string; readonly expires_in: number }
      readonly scope: string
    }

async function issue(
  services: Services,
  ctx: Context,
  credentials: Credentials,
  { service, asked }: TokenRequest,
): Promise<Issued> {
  const { access } = services
  const { io } = ctx.state
  const view = await access.view(io)
  const caller = await access.authenticate(credentials, addressOf(ctx), view, io)
  if ('refused' in caller) {
    ctx.state.refused = refusedLogin(caller, credentials, view)
    return { refusal: refused(services, caller) }
  }
  ctx.state.caller = caller
  // Whoever asks for nothing wants to know whether a password is right, and showed none.
  if (isStranger(caller, view) && asked === undefined) return { refusal: refused(services, undefined) }
  if (service !== undefined && service !== access.service())
    return {
      refusal: failed(
        new RegistryError('REQUEST_INVALID', {
          message: `unknown service: this is ${JSON.stringify(access.service())}`,
        }),
        { error: 'invalid_request' },
      ),
    }
  const { principal, policy, credential, expiresMs } = caller
  const granted = grantedOf(asked ?? [], (action, name) => policy.permits(principal, action, name))
  const grant = { subject: principal, access: granted, credential, expiresMs }
  const { token, expiresInSeconds } = await access.issue(grant, io)
  return {
    token: { token, access_token: token, expires_in: expiresInSeconds },
    scope: formatScopes(granted),
  }
}

const isStranger = (caller: Caller, view: View) => caller.by === 'nothing' && !view.isOpen

/** Basic is what this one address takes; challenges of the registry never speak of it. */
function refused({ access }: Services, refusal: Refusal | undefined): Answer {
  switch (refusal?.refused) {
    case 'slow-down':
      return failed(
        new RegistryError('TOO_MANY_REQUESTS'),
        {},
        {
          'Retry-After': String(refusal.retryAfterSeconds),
        },
      )
    case 'busy':
      return failed(new RegistryError('BUSY'), {}, { 'Retry-After': '2' })
    default: {
      const message = refusal ? 'incorrect username or password' : 'authentication required'
      const headers = { 'WWW-Authenticate': `Basic realm="${access.service()}"` }
      return failed(new RegistryError('UNAUTHORIZED', { message }), { error: 'invalid_grant' }, headers)
    }
  }
}

/** In the words of both protocols. */
function failed(
  error: RegistryError,
  oauth: { readonly error?: string },
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return json({ ...error.toJSON(), ...oauth }, { ...secretHeaders, ...headers }, error.status)
}

type Grant = 'password' | 'refresh_token' | 'urn:ietf:params:oauth:grant-type:token-exchange'

const wrong: Credentials = { kind: 'unreadable' }

/** What each grant shows. Only an API token can be a refresh token: we make no others. */
const credentialsOf = {
  password(form) {
    const [username, secret] = [form.get('username') ?? '', form.get('password') ?? '']
    if (username === '' && secret === '') return { kind: 'none' }
    return /\p{Cc}/u.test(username + secret) ? wrong : { kind: 'basic', username, secret }
  },
  refresh_token(form) {
    const secret = form.get('refresh_token') ?? ''
    return parseSecret(secret) ? { kind: 'basic', username: '', secret } : wrong
  },
  'urn:ietf:params:oauth:grant-type:token-exchange'(form, { access }) {
    const secret = form.get('subject_token') ?? ''
    return access.isWorkloadToken(secret) ? { kind: 'basic', username: '', secret } : wrong
  },
} as const satisfies Record<Grant, (form: URLSearchParams, services: Services) => Credentials>

/** RFC 8693, 2.2.1. */
const extras: { readonly [G in Grant]?: Readonly<Record<string, string>> } = {
  'urn:ietf:params:oauth:grant-type:token-exchange': {
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  },
}

const isGrant = (text: string): text is Grant => Object.hasOwn(credentialsOf, text)

async function readForm({ pace }: Services, ctx: Context): Promise<URLSearchParams> {
  const type = ctx.get('Content-Type').split(';', 1)[0]?.trim().toLowerCase()
  if (type !== 'application/x-www-form-urlencoded')
    throw new RegistryError('REQUEST_INVALID', {
      message: 'expected a form: Content-Type application/x-www-form-urlencoded',
    })
  const tooLarge = () =>
    new RegistryError('BODY_TOO_LARGE', { message: `a form is larger than ${maxFormBytes} bytes` })
  const form = new URLSearchParams(
    (await readBody(ctx.req, ctx.res, maxFormBytes, pace, tooLarge)).toString(),
  )
  const twice = [...form.keys()].find(key => key !== 'scope' && form.getAll(key).length > 1)
  // Two readers could take either.
  if (twice !== undefined)
    throw new RegistryError('REQUEST_INVALID', { message: 'a parameter other than scope is there twice' })
  return form
}
