/** The settings that say who may do what: the access part of the schema. Their grammars are those of auth/. */
import { z } from 'zod'
import { parsePrincipalName, principalNameForm } from '../auth/access.ts'
import { GrammarError } from '../auth/errors.ts'
import { parseProtection } from '../auth/protections.ts'
import { parseRule } from '../auth/rules.ts'
import { about, inRange, parsedBy } from './config-values.ts'
import { parseDuration } from './units.ts'

/** Adds a fault in its own words. */
type Report = (fault: string, path?: PropertyKey[]) => void

const reportTo =
  (ctx: z.core.$RefinementCtx): Report =>
  (fault, path = []) =>
    ctx.addIssue({ code: 'custom', path, params: { fault } })

/** A list, or one text with commas between: no grammar here has a comma. */
const linesOf = <Line extends z.ZodType>(line: Line) =>
  z.preprocess(
    given => (typeof given === 'string' ? given.split(',').map(part => part.trim()) : given),
    z.array(line),
  )

/** A section whose keys are names, or in the environment its JSON. */
const named = <Value extends z.ZodType>(value: Value) =>
  z.preprocess(fromJson, z.record(z.string(), value)).superRefine((entries, ctx) => {
    for (const name of Object.keys(entries))
      if (parsePrincipalName(name) === undefined)
        reportTo(ctx)(`expected a name of ${principalNameForm}`, [name])
  })

const rule = z.preprocess(
  given => (typeof given === 'string' ? { rule: given } : given),
  z
    .strictObject({ rule: z.string(), until: z.string().optional(), note: z.string().optional() })
    .superRefine((source, ctx) => reportGrammar(source.rule, () => parseRule(source), reportTo(ctx))),
)

const protection = z
  .string()
  .superRefine((line, ctx) => reportGrammar(line, () => parseProtection(line), reportTo(ctx)))

const member = z.string().superRefine((text, ctx) => {
  if (text.startsWith('oidc:'))
    reportTo(ctx)(`${text}: groups of an identity provider come with login by OIDC, which is not there yet`)
  else if (parsePrincipalName(text) === undefined)
    reportTo(ctx)(`${quoted(text)} is nobody's name: expected ${principalNameForm}`)
})

const workload = z
  .strictObject({
    issuer: parsedBy(parseIssuer),
    audience: z.string().default(''),
    match: z
      .record(
        z.string(),
        // YAML reads 4242 as a number; one that it cannot hold exactly is to be quoted.
        z.union([z.string(), z.int(), z.boolean()]).transform(String),
      )
      .default({}),
    jwks_file: z.string().min(1).optional(),
    jwks_url: parsedBy(parseIssuer).optional(),
  })
  .superRefine(({ jwks_file, jwks_url }, ctx) => {
    if (jwks_file !== undefined && jwks_url !== undefined)
      reportTo(ctx)('jwks_file and jwks_url exclude each other: remove one', ['jwks_url'])
  })
  .transform(({ jwks_file, jwks_url, ...rest }) => ({ ...rest, jwksFile: jwks_file, jwksUrl: jwks_url }))

const lifetime = inRange(parseDuration, 60_000, 3_650 * 86_400_000)

export const accessSettings = {
  login: z
    .strictObject({
      htpasswd: z
        .string()
        .min(1)
        .optional()
        .register(about, {
          accepts: 'the path of a file that htpasswd -B has written',
          does:
            'Users and their bcrypt hashes, beside the users that the registry stores. The file is read again on SIGHUP ' +
            'and a few seconds after it has changed; while it is broken, what it said before holds.',
          reloadable: true,
        }),
    })
    .prefault({}),
  groups: named(linesOf(member))
    .optional()
    .transform(groups => groups ?? {})
    .register(about, {
      accepts: 'names of groups, each with a list of users; in the environment as JSON',
      does: 'Groups of users, for rules to name as @GROUP.',
      reloadable: true,
    }),
  access: linesOf(rule)
    .optional()
    .transform(rules => rules ?? [])
    .register(about, {
      accepts: 'a list of rules, such as: push team-a/** @team-a',
      does:
        'Who may do what, one rule in a line: LEVEL PATTERN WHO… A level is pull, push, delete or admin, and each ' +
        'includes those before it. In a pattern * stands for a part of a segment, ** for one or more whole segments (a/** is ' +
        'all below a, and not a itself), {user} for the name of who asks. WHO is anyone, signed-in (every user, but no ' +
        'robot or workload), NAME, @GROUP, robot:NAME or workload:NAME. Rules add ' +
        'up, none takes away. As long as there is no rule it is: delete ** signed-in. A rule that ends, or that has a ' +
        'reason, is written { rule: "push sandbox/** erin", until: 2026-12-31, note: contractor }.',
      reloadable: true,
      fields: {
        rule: 'a rule, such as: push team-a/** @team-a',
        until: 'a date, such as 2026-12-31 or 2026-12-31T18:00Z',
        note: 'some words',
      },
    }),
  protect: linesOf(protection)
    .optional()
    .transform(protections => protections ?? [])
    .register(about, {
      accepts: 'a list of protections, such as: immutable prod/**:v*',
      does:
        'What nobody may do, administrators included: KIND PATTERN[:TAGS]. immutable: tags are not moved or deleted; ' +
        'no-delete: nothing is deleted; frozen: nothing changes.',
      reloadable: true,
    }),
  workloads: named(workload)
    .optional()
    .transform(workloads => workloads ?? {})
    .register(about, {
      accepts: 'names of workloads, each with issuer, audience and match; in the environment as JSON',
      does:
        'Jobs that log in with a token which their own platform has signed, each under a name that rules call ' +
        'workload:NAME. issuer and audience are what the token must say; match has claims (a dotted path for nested ' +
        'ones) with a pattern for each. The keys of the issuer come from jwks_file, from jwks_url, or else from where ' +
        "the issuer's /.well-known/openid-configuration says.",
      reloadable: true,
      fields: {
        issuer: 'the https:// address that its tokens name as iss',
        audience: 'what its tokens name as aud, such as the address of this registry',
        match: 'claims, each with a pattern',
        jwks_file: 'the path of a file with a JSON Web Key Set',
        jwks_url: 'the https:// address of a JSON Web Key Set',
      },
    }),
  tokens: z
    .strictObject({
      max_ttl: parsedBy(lifetime).prefault('365d').register(about, {
        accepts: 'a time from 1m to 3650d',
        does: 'The longest life that an API token may be given. Only a robot may have one that lives for ever.',
        reloadable: true,
      }),
      default_ttl: parsedBy(lifetime).prefault('90d').register(about, {
        accepts: 'a time from 1m to 3650d',
        does: 'How long an API token lives when nothing is said.',
        reloadable: true,
      }),
    })
    .prefault({})
    .transform(({ max_ttl, default_ttl }) => ({ maxTtlMs: max_ttl, defaultTtlMs: default_ttl })),
}

function reportGrammar(line: string, parse: () => unknown, report: Report): void {
  try {
    parse()
  } catch (error) {
    if (!(error instanceof GrammarError)) throw error
    const at = error.position > 1 ? ` (character ${error.position})` : ''
    report(`${quoted(line)}${at}: ${error.message}`)
  }
}

/** As it is written: an issuer with another spelling is another issuer. */
function parseIssuer(text: string): string | undefined {
  const url = URL.parse(text)
  if (!url || url.username || url.password || url.hash || /\s/.test(text)) return undefined
  const isOwn = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname)
  // Keys that somebody could change on their way would make anybody a workload.
  return url.protocol === 'https:' || (url.protocol === 'http:' && isOwn) ? text : undefined
}

function fromJson(given: unknown): unknown {
  if (typeof given !== 'string') return given
  try {
    return JSON.parse(given)
  } catch {
    return given
  }
}

const quoted = (text: string) => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
