/** The settings that say where everything is kept, if that is not the folder `data`. */
import { z } from 'zod'
import type { About } from './config-sources.ts'
import { about, listOf, parseBoolean, parsedBy, parseOrigin } from './config-values.ts'
import { parseServedNetwork, type Redirect } from './redirection.ts'

/** A bucket, and what stands in front of every key in it. */
interface Place {
  readonly name: string
  readonly prefix: string
}

const maxPrefix = 200
const placeGrammar =
  's3://bucket or s3://bucket/prefix; of the bucket 3 to 63 characters: a-z, 0-9, . and -, the first and last a letter or ' +
  `digit; of the prefix at most ${maxPrefix}: A-Z, a-z, 0-9, . _ - and / between folders, none of them . or ..`

const text = (accepts: string, does: string, more: Pick<About, 'secret'> = {}) =>
  z
    .string()
    .min(1)
    .optional()
    .register(about, { accepts, does, ...more })

export const storageSettings = {
  storage: z
    .strictObject({
      s3: z
        .strictObject({
          bucket: parsedBy(parsePlace)
            .optional()
            .register(about, {
              accepts: placeGrammar,
              does:
                'The bucket that holds everything, instead of the folder. Any number of servers may use one bucket; what they ' +
                'share is there alone. It must be there already, and nothing else may write below the prefix. What its user must be ' +
                'permitted: docs/operating.md. --data on the command line means the folder all the same.',
              flag: 'storage',
            }),
          endpoint: z
            .unknown()
            .transform(refusePath)
            .pipe(parsedBy(parseOrigin))
            .optional()
            .register(about, {
              accepts: 'http:// or https:// and a host, without a path',
              does:
                'The address of a store that is not AWS. Clients are sent there for large blobs, unless redirect says otherwise: ' +
                'let it be a name that they know too. Some refuse to be sent to a bare IP address of a private network. ' +
                "Where the store's certificate is of an authority of your own, name that in the environment, as NODE_EXTRA_CA_CERTS.",
            }),
          region: z.string().min(1).prefault('us-east-1').register(about, {
            accepts: 'the name of a region',
            does: 'Where the bucket is, in the words of the store.',
          }),
          path_style: parsedBy(parseBoolean)
            .optional()
            .register(about, {
              accepts: 'true or false',
              does:
                'true: the bucket is in the path of an address, false: in its host. Where nothing is said: in the path if there ' +
                'is an endpoint.',
            }),
          access_key_id: text(
            'an access key id, in quotes if it has digits only',
            'Without it, credentials are looked for as AWS programs do: in the environment, a profile, or the machine.',
          ),
          secret_access_key: text(
            'a secret access key, in quotes if it has digits only',
            'The secret of access_key_id.',
            { secret: true },
          ),
          secret_access_key_file: text(
            'the path of a file',
            'The file that has the secret of access_key_id, so that it need not stand among the settings.',
          ),
          redirect: listOf(text => parseBoolean(text) ?? parseServedNetwork(text))
            .transform((given, ctx): Redirect => {
              const [first] = given
              if (given.length === 1 && typeof first === 'boolean') return first
              const networks = given.filter(each => typeof each === 'string')
              if (networks.length === given.length) return networks
              ctx.addIssue({ code: 'custom', input: given })
              return z.NEVER
            })
            .prefault('true')
            .register(about, {
              accepts: 'true, false or a list of networks, such as: 10.0.0.0/8, fd00::/8',
              does:
                'true: a client that GETs a large blob is sent to the store for it, by an address that is good for ten minutes ' +
                'at most; the bytes do not pass through here. Clients must reach the store by its endpoint then. false: nobody ' +
                'is sent there, all get it from here. Networks: the clients in these networks are not sent there and get it ' +
                'from here; all other clients are sent to the store. Small blobs always come from here, and HEAD is always answered ' +
                'here. So are those who have logged in where the store is on the host that they call, or on one below it: many ' +
                'would show the store their token.',
              reloadable: true,
            }),
        })
        .prefault({}),
    })
    .prefault({})
    .transform(({ s3: { path_style, access_key_id, secret_access_key, secret_access_key_file, ...s3 } }) => ({
      s3: {
        ...s3,
        pathStyle: path_style ?? s3.endpoint !== undefined,
        accessKeyId: access_key_id,
        secretAccessKey: secret_access_key,
        secretAccessKeyFile: secret_access_key_file,
      },
    })),
}

/** A prefix holds what needs no escape in an address, and leaves room for the longest key. */
function parsePlace(given: string): Place | undefined {
  const [, name = '', prefix = ''] =
    /^(?:s3:\/\/)?([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([\w./-]*?))?\/?$/.exec(given) ?? []
  const isPrefix = prefix === '' || !/^\/|\/\/|(?:^|\/)\.{1,2}(?:\/|$)/.test(prefix)
  return name !== '' && isPrefix && prefix.length <= maxPrefix ? { name, prefix } : undefined
}

/** What follows the host is the bucket mostly, which has a setting of its own. */
function refusePath(given: unknown, ctx: z.RefinementCtx): z.input<ReturnType<typeof parsedBy>> {
  const url = typeof given === 'string' ? URL.parse(given) : null
  if (
    url !== null &&
    parseOrigin(url.origin) !== undefined &&
    /^\/./.test(url.pathname) &&
    !/[?#@]/.test(String(given))
  ) {
    const fault = `has no path: write ${url.origin}, and in storage.s3.bucket s3://bucket/prefix`
    ctx.addIssue({ code: 'custom', input: given, params: { fault } })
    return z.NEVER
  }
  return given as string
}
