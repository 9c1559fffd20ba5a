/** The settings: one schema is their types, their defaults and (through docs/configuration.ts) their documentation. */
import { z } from 'zod'
import { parseListenAddress } from './addresses.ts'
import { parseTrustedProxy } from './client-address.ts'
import { accessSettings } from './config-access.ts'
import { storageSettings } from './config-storage.ts'
import { about, inRange, listOf, parseBoolean, parsedBy, parseOrigin, wholeNumber } from './config-values.ts'
import { parseDuration, parseSize } from './units.ts'

export const schema = z.strictObject({
  listen: listOf(parseListenAddress)
    .prefault('127.0.0.1:5000')
    .register(about, {
      accepts: 'host:port, [::1]:port or unix:/path, or a list of them',
      does:
        'Where to listen. Several addresses are a list, or stand in one line with commas between. Port 0 takes one ' +
        'that is free. YAML wants quotes around an address with brackets. An address that other machines can reach is ' +
        'accepted once it is said who may do what, and together with tls or insecure.',
      flag: 'listen',
    }),
  url: parsedBy(parseOrigin)
    .optional()
    .register(about, {
      accepts: 'http:// or https:// and a host, without a path',
      does:
        'What clients call this registry, such as https://reg.acme.dev. Set it when a proxy stands before it: links ' +
        'in answers begin with it, and never with what a request claims in its Host header. Then all clients are to use ' +
        'it: one that pushes through another address is sent to this one for its uploads.',
    }),
  tls: z
    .strictObject({
      cert: z
        .string()
        .min(1)
        .optional()
        .register(about, {
          accepts: 'the path of a PEM file',
          does:
            'The certificate, and behind it those of its signers. With it every address but unix sockets speaks TLS. The ' +
            'files are read again on SIGHUP and a few seconds after they have changed; while they are broken, the old ones ' +
            'are used. To begin or to end with TLS takes a restart.',
          reloadable: true,
        }),
      key: z.string().min(1).optional().register(about, {
        accepts: 'the path of a PEM file',
        does: 'The key of the certificate, without a password.',
        reloadable: true,
      }),
    })
    .prefault({}),
  insecure: parsedBy(parseBoolean)
    .prefault('false')
    .register(about, {
      accepts: 'true or false',
      does:
        'true: other machines may connect without TLS, so whoever is between can read passwords and change images. For ' +
        'networks that are protected otherwise, such as that to a proxy with TLS on another machine.',
    }),
  trusted_proxies: listOf(parseTrustedProxy, 0)
    .optional()
    .transform(proxies => proxies ?? [])
    .register(about, {
      accepts: 'a list of networks such as 10.0.0.0/8, addresses, or unix',
      does:
        'The proxies that are believed when they say for whom they ask: networks, single addresses, or unix for whoever ' +
        'comes by a unix socket. From them the address of a client is the last one in X-Forwarded-For that is not in this ' +
        'list. It is that address whose wrong passwords and requests are counted, and that the audit and the log show. ' +
        'Name nothing but proxies here, 127.0.0.1 too only if one runs there: who is trusted can give any address as its own.',
      reloadable: true,
    }),
  data: z
    .string()
    .min(1)
    .prefault('./data')
    .register(about, {
      accepts: 'the path of a folder',
      does:
        'The folder that holds everything, unless storage says where else; as a flag it holds everything whatever storage ' +
        'says. A relative path starts at the folder of the configuration file; on the ' +
        'command line, in the environment, or without such a file, at the working directory.',
      flag: 'data',
    }),
  ...storageSettings,
  workers: parsedBy(text => (text === 'auto' ? text : wholeNumber(1, 64)(text)))
    .prefault('auto')
    .register(about, {
      accepts: 'auto or a number from 1 to 64',
      does: 'How many processes answer requests; auto is one for each core.',
    }),
  durability: z
    .enum(['full', 'relaxed'])
    .prefault('full')
    .register(about, {
      accepts: 'full or relaxed',
      does:
        'full: what was acknowledged survives a power cut. relaxed: links and tags are not forced to disk, which is ' +
        'faster; after a power cut the last seconds of them may be gone, and pushing again brings them back.',
    }),
  sparse: z
    .enum(['none', 'index', 'any'])
    .prefault('index')
    .register(about, {
      accepts: 'none, index or any',
      does:
        'What a manifest may name without it being here. none: nothing; index: images of an index, as in a copy of ' +
        'some platforms; any: layers too.',
      reloadable: true,
    }),
  ...accessSettings,
  limits: z
    .strictObject({
      manifest: parsedBy(inRange(parseSize, 4 * 2 ** 20, 64 * 2 ** 20))
        .prefault('4MiB')
        .register(about, {
          accepts: 'a size from 4MiB to 64MiB',
          does: 'The largest manifest that may be pushed.',
          reloadable: true,
        }),
      uploads_per_user: parsedBy(wholeNumber(1, 100_000))
        .prefault('100')
        .register(about, {
          accepts: 'a number from 1 to 100000',
          does:
            'How many unfinished uploads that hold something one user may have. All who have no name share it. In a bucket ' +
            'those count that have filled a part, which is 16 MiB.',
          reloadable: true,
        }),
      upload_ttl: parsedBy(inRange(parseDuration, 1_000, 365 * 86_400_000))
        .prefault('24h')
        .register(about, {
          accepts: 'a time from 1s to 365d',
          does:
            'Unfinished uploads to which nothing was added for longer than this are removed. In a bucket what fits a part, ' +
            'which is 16 MiB, cannot be gone on with after a day, and some of it stays.',
          reloadable: true,
        }),
      requests_per_minute: parsedBy(text => (text === 'off' ? text : wholeNumber(60, 10_000_000)(text)))
        .prefault('off')
        .register(about, {
          accepts: 'off or a number from 60 to 10000000',
          does:
            'How many requests a minute one user, robot or workload may make, or one address without a name. More are ' +
            'refused with 429 and told when to try again. Each worker counts for itself, and tokens, manifests and blobs ' +
            'count apart.',
          reloadable: true,
        }),
    })
    .prefault({})
    .transform(({ manifest, uploads_per_user, upload_ttl, requests_per_minute }) => ({
      manifestBytes: manifest,
      uploadsPerUser: uploads_per_user,
      uploadTtlMs: upload_ttl,
      requestsPerMinute: requests_per_minute === 'off' ? undefined : requests_per_minute,
    })),
  log: z
    .strictObject({
      level: z.enum(['trace', 'debug', 'info', 'warn', 'error']).prefault('info').register(about, {
        accepts: 'trace, debug, info, warn or error',
        does: 'The least important messages that are written.',
        flag: 'log-level',
        reloadable: true,
      }),
    })
    .prefault({}),
})
