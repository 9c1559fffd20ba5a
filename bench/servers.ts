import { existsSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Io } from '../oci/io.ts'
import { distributionConfiguration } from './distribution.ts'
import type { Store } from './engine.ts'
import { findProgram, versionOf } from './find-program.ts'

/** The servers side by side, each at its fastest honest setting: no access log, errors only, caches on. */
export interface ServerKind {
  readonly id: 'slipway' | 'distribution' | 'distribution-parts' | 'docker-registry' | 'nginx'
  /** How its content is laid down: through its API, or as the files that it would have written. */
  readonly fill: 'api' | 'tree' | 'files'
  readonly takesPushes: boolean
  find(options: FindOptions, io: Io): Promise<Found>
  /** Writes what configuration it needs into the folder; its data lies in the store, or without one in `folder/data`. */
  launch(program: string, folder: string, port: number, store?: Store): Promise<Launch>
}

export interface FindOptions {
  /** Where distribution's program lies, when not where programs are looked for. */
  readonly distribution?: string | undefined
}

export type Found = { readonly program: string; readonly name: string } | { readonly missing: string }

export interface Launch {
  readonly args: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
}

const distributionVersion = '3.1.1'
const distributionModule = `github.com/distribution/distribution/v3/cmd/registry@v${distributionVersion}`
export const slipwayProgram = fileURLToPath(new URL('../cli/slipway.js', import.meta.url))
const packageFile = new URL('../package.json', import.meta.url)

const slipway: ServerKind = {
  id: 'slipway',
  fill: 'api',
  takesPushes: true,
  async find() {
    if (!existsSync(slipwayProgram)) return { missing: 'cli/slipway.js is not in this checkout' }
    // Our own package.json has a version.
    const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string }
    return { program: process.execPath, name: `Slipway ${version}` }
  },
  async launch(_program, folder, port, store) {
    const args = [slipwayProgram, 'serve', '--listen', `127.0.0.1:${port}`, '--log-level', 'warn']
    if (!store) return { args: [...args, '--data', join(folder, 'data')] }
    return {
      args: [...args, '--storage', `s3://${store.bucket}`],
      environment: {
        SLIPWAY_STORAGE_S3_ENDPOINT: store.endpoint,
        SLIPWAY_STORAGE_S3_REGION: store.region,
        SLIPWAY_STORAGE_S3_ACCESS_KEY_ID: store.accessKeyId,
        SLIPWAY_STORAGE_S3_SECRET_ACCESS_KEY: store.secretAccessKey,
        SLIPWAY_STORAGE_S3_REDIRECT: String(store.redirect),
      },
    }
  },
}

const distribution: ServerKind = {
  id: 'distribution',
  fill: 'tree',
  takesPushes: true,
  async find({ distribution }, io) {
    const program = distribution ?? (await findProgram('registry', io))
    if (program === undefined) return { missing: `go install ${distributionModule}` }
    const version = await versionOf(program, '--version', io)
    if (version !== distributionVersion) {
      return { missing: `${program} is ${version}: go install ${distributionModule}, --distribution FILE` }
    }
    return { program, name: `distribution ${version}` }
  },
  launch: launchDistribution,
}

const dockerRegistry: ServerKind = {
  id: 'docker-registry',
  fill: 'tree',
  takesPushes: true,
  find: (_options, io) => findPackaged('docker-registry', 'docker-registry', '--version', io),
  launch: launchDistribution,
}

const nginx: ServerKind = {
  id: 'nginx',
  fill: 'files',
  takesPushes: false,
  find: (_options, io) => findPackaged('nginx', 'nginx-light', '-v', io),
  async launch(_program, folder, port) {
    const file = join(folder, 'nginx.conf')
    await writeFile(file, nginxConfiguration(folder, port))
    return { args: ['-p', folder, '-c', file] }
  },
}

/** Its documentation advises larger parts than the usual 10 MB where the way to the store is fast. */
const largePartBytes = 32 * 1024 * 1024
const distributionOfLargeParts: ServerKind = {
  ...distribution,
  id: 'distribution-parts',
  async find(options, io) {
    const found = await distribution.find(options, io)
    return 'missing' in found ? found : { ...found, name: 'distribution, 32 MiB' }
  },
  launch: (program, folder, port, store) => launchDistribution(program, folder, port, store, largePartBytes),
}

export const serverKinds: readonly ServerKind[] = [slipway, distribution, dockerRegistry, nginx]
/** Those that can keep their content in S3. */
export const s3ServerKinds: readonly ServerKind[] = [
  slipway,
  distribution,
  distributionOfLargeParts,
  dockerRegistry,
]

async function findPackaged(
  name: string,
  debianPackage: string,
  versionFlag: string,
  io: Io,
): Promise<Found> {
  const program = await findProgram(name, io)
  if (program === undefined) return { missing: `apt-get install ${debianPackage}` }
  return { program, name: `${name} ${await versionOf(program, versionFlag, io)}` }
}

async function launchDistribution(
  _program: string,
  folder: string,
  port: number,
  store?: Store,
  partBytes?: number,
): Promise<Launch> {
  const file = join(folder, 'registry.yml')
  await writeFile(file, distributionConfiguration({ folder, port, store, partBytes }))
  // Version 3 otherwise traces every request and looks for a collector; 2.8 fails when it is told of certificates.
  return { args: ['serve', file], environment: { OTEL_TRACES_EXPORTER: 'none', AWS_CA_BUNDLE: '' } }
}

const nginxConfiguration = (folder: string, port: number) => `${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes auto;
daemon off;
pid nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
http {
  access_log off;
  default_type application/octet-stream;
  sendfile on;
  sendfile_max_chunk 0;
  tcp_nopush off;
  keepalive_requests 1000000000;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
    listen 127.0.0.1:${port};
    root ${JSON.stringify(join(folder, 'data'))};
    location = /v2/ { return 200 "{}"; }
  }
}
`
