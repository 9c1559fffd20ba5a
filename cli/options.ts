/** The options that several commands have. */
import type { Option } from './command.ts'

/** Each is a flag of a setting, but for --config. */
export const settingOptions = {
  config: {
    type: 'string',
    value: 'FILE',
    does: 'read the settings from FILE; otherwise ./slipway.yaml, if it is there',
  },
  listen: {
    type: 'string',
    multiple: true,
    value: 'ADDRESS',
    does: 'where to listen: host:port or unix:/path; may be repeated',
  },
  data: {
    type: 'string',
    value: 'FOLDER',
    does: 'the folder that holds everything, whatever the settings say of a bucket',
  },
  storage: {
    type: 'string',
    value: 's3://BUCKET',
    does: 'the bucket that holds everything instead: s3://bucket/prefix',
  },
  'log-level': { type: 'string', value: 'LEVEL', does: 'trace, debug, info, warn or error' },
} as const satisfies Record<string, Option>

const { config, data, storage, 'log-level': logLevel } = settingOptions

/** Of the commands that look into the data folder. */
export const storeOptions = { config, data, storage, 'log-level': logLevel } as const satisfies Record<
  string,
  Option
>

export const jsonOption = { type: 'boolean', does: 'print one JSON object' } as const satisfies Option

/** Of the commands that ask a registry. */
export const clientOptions = {
  'plain-http': { type: 'boolean', does: 'no TLS; on this machine none is expected anyway' },
  tls: { type: 'boolean', does: 'TLS, on this machine too' },
  'log-level': {
    type: 'string',
    value: 'LEVEL',
    values: ['trace', 'debug', 'info', 'warn', 'error'],
    does: 'debug: say where it failed',
  },
} as const satisfies Record<string, Option>
