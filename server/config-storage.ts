/** The settings that say where everything is kept, if that is not the folder `data`. */
import { z } from 'zod'
import type { About } from './config-sources.ts'
import { about, listOf, parseBoolean, parsedBy } from './config-values.ts'
import { parseNetwork, type Redirect } from './redirection.ts'

/** A bucket, and what stands in front of every key in it. */
interface Place {
  readonly name: string
  readonly prefix: string
}

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
              accepts: 's3://bucket, s3://bucket/prefix or the name of a bucket',
              does:
                'The bucket that holds everything, instead of the folder. Any number of servers may use one bucket; what they ' +
                'share is there alone. It must be there already, and nothing else may write below the prefix.',
              flag: 'storage',
            }),
          endpoint: parsedBy(parseEndpoint).optional().register(about, {
            accepts: 'http:// or https:// and a host',
            does: 'The address of a store that is not AWS.',
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
          redirect: listOf(text => parseBoolean(text) ?? parseNetwork(text))
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
                'true: a client that asks for a large blob is sent to the store for it, by an address that is good for ten minutes ' +
                'at most; the bytes do not pass through here. Clients must reach the store by its endpoint then. false: ' +
                'all get it from here. Networks: only the clients in them get it from here. Small blobs always come ' +
                'from here, and so do all where the store is on the host that the client calls, or on one below it, and the ' +
                'client has logged in: many would show the store their token.',
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

/** As S3 names buckets; a prefix holds what needs no escape in an address. */
function parsePlace(given: string): Place | undefined {
  const [, name = '', prefix = ''] =
    /^(?:s3:\/\/)?([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([\w./-]*?))?\/?$/.exec(given) ?? []
  const isPrefix = prefix === '' || !/^\/|\/\/|(?:^|\/)\.{1,2}(?:\/|$)/.test(prefix)
  return name !== '' && isPrefix ? { name, prefix } : undefined
}

function parseEndpoint(given: string): string | undefined {
  const url = URL.parse(given)
  if (url === null || !/^https?:$/.test(url.protocol) || /[?#@]/.test(given)) return undefined
  return url.href.replace(/\/$/, '')
}
