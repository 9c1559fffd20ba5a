/** Clients that log in: how each of them says what all of them can do. */
import { mkdirSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll } from 'vitest'
import { describeClient } from './clients.ts'
import { dockerHost, startDockerd } from './dockerd.ts'
import { image, randomBytes } from './images.ts'
import { writeLayout } from './layout.ts'
import { type Attempt, openSandbox, type RunOptions, type Sandbox } from './sandbox.ts'
import { tar } from './tar.ts'

type Args = readonly string[]
type Options = Pick<RunOptions, 'input' | 'boundMs'>

/** Somebody at a client: what it keeps of a login is theirs alone. */
export interface Person {
  /** A path in their home folder. */
  path(...parts: string[]): string
  attempt(args: Args, options?: Options): Promise<Attempt>
  /** The same for what must succeed; resolves to what it printed. */
  done(args: Args, options?: Options): Promise<string>
}

/** References are written as users write them: `127.0.0.1:5000/team/app:1`. */
export interface LoginClient {
  /** What stands before all else. */
  readonly options?: (sandbox: Sandbox) => Args
  /** What somebody says once, so that it speaks plain HTTP to the registry. */
  readonly trust?: (host: string) => Args
  login(host: string, username: string, secret: string): Args
  logout(host: string): Args
  /** Takes an image, to a folder where the client keeps none itself. */
  pull(from: string, folder: string): Args
  /** Makes an image with a layer of so many bytes, which nobody else has, and gives what `push` calls it. */
  make(person: Person, seed: string, size: number): Promise<string>
  /** Before `push`, where it does not take a name to push to. */
  readonly name?: (made: string, to: string) => Args
  push(made: string, to: string): Args
  /** Takes what it has pushed to a second repository, where that is no other `push`. */
  readonly copy?: (from: string, to: string) => Args
}

/** Of making an image, however large. */
const boundMs = 10 * 60_000
const tls = '--tls-verify=false'
const copyTls = ['--src-tls-verify=false', '--dest-tls-verify=false']

async function layout(person: Person, seed: string, size: number): Promise<string> {
  const folder = person.path('layouts', seed)
  await writeLayout(folder, image({ seed, layers: [1_000, size] }), '1')
  return folder
}

const containers = {
  login: (host, username, secret) => ['login', tls, '-u', username, '-p', secret, host],
  logout: host => ['logout', host],
  pull: from => ['pull', tls, from],
  async make(person, seed, size) {
    const context = person.path('contexts', seed)
    await mkdir(context, { recursive: true })
    await writeFile(`${context}/data`, randomBytes(seed, size))
    await writeFile(`${context}/Dockerfile`, 'FROM scratch\nCOPY data /data\n')
    return (await person.done(['build', '-q', context], { boundMs })).trim()
  },
  push: (made, to) => ['push', tls, made, `docker://${to}`],
} satisfies LoginClient

const store = (sandbox: Sandbox) => [
  '--root',
  sandbox.path('store'),
  '--runroot',
  sandbox.path('runs'),
  '--storage-driver=vfs',
]

export const loginClients = {
  docker: {
    login: (host, username, secret) => ['login', '-u', username, '-p', secret, host],
    logout: host => ['logout', host],
    pull: from => ['pull', from],
    async make(person, seed, size) {
      await person.done(['import', '-', seed], { input: tar({ layer: randomBytes(seed, size) }), boundMs })
      return seed
    },
    name: (made, to) => ['tag', made, to],
    push: (_, to) => ['push', to],
  },
  podman: {
    ...containers,
    options: sandbox => [
      ...store(sandbox),
      '--cgroup-manager=cgroupfs',
      '--events-backend=file',
      '--tmpdir',
      sandbox.path('tmp'),
    ],
  },
  buildah: {
    ...containers,
    options: store,
    // What it has it does not ask for again, unless it is told to.
    pull: from => ['pull', tls, '--policy=always', from],
  },
  skopeo: {
    login: (host, username, secret) => ['login', tls, '-u', username, '-p', secret, host],
    logout: host => ['logout', host],
    pull: (from, folder) => ['copy', ...copyTls, `docker://${from}`, `dir:${folder}`],
    make: layout,
    push: (made, to) => ['copy', ...copyTls, `oci:${made}:1`, `docker://${to}`],
  },
  crane: {
    login: (host, username, secret) => ['auth', 'login', '-u', username, '-p', secret, host],
    logout: host => ['auth', 'logout', host],
    pull: (from, folder) => ['pull', '--insecure', '--format=oci', from, folder],
    make: layout,
    push: (made, to) => ['push', '--insecure', made, to],
    copy: (from, to) => ['copy', '--insecure', from, to],
  },
  regctl: {
    trust: host => ['registry', 'set', '--tls', 'disabled', '--skip-check', host],
    login: (host, username, secret) => ['registry', 'login', '-u', username, '-p', secret, host],
    logout: host => ['registry', 'logout', host],
    pull: (from, folder) => ['image', 'copy', from, `ocidir://${folder}:1`],
    make: layout,
    push: (made, to) => ['image', 'copy', `ocidir://${made}:1`, to],
    copy: (from, to) => ['image', 'copy', from, to],
  },
} as const satisfies Record<string, LoginClient>

export type LoginProgram = keyof typeof loginClients

export interface Given {
  readonly program: LoginProgram
  readonly client: LoginClient
  /** Somebody who has never used the program before; its store of images is everybody's. */
  person(host: string): Promise<Person>
  /** Pushes what `make` has made. */
  push(person: Person, made: string, to: string, options?: Options): Promise<Attempt>
}

/** A suite for each client, in a sandbox of its own. */
export function describeLoginClients(behaviours: (given: Given) => void): void {
  for (const program of Object.keys(loginClients) as LoginProgram[])
    describeClient(program === 'docker' ? ['docker', 'dockerd'] : [program], () => {
      const open = new AsyncDisposableStack()
      let sandbox: Sandbox
      beforeAll(async () => {
        sandbox = open.use(await openSandbox())
        if (program === 'docker') open.use(await startDockerd(sandbox))
      })
      afterAll(() => open.disposeAsync())
      const client: LoginClient = loginClients[program]
      behaviours({
        program,
        client,
        person: host => personAt(program, sandbox, host),
        async push(person, made, to, options) {
          if (client.name) await person.done(client.name(made, to))
          return person.attempt(client.push(made, to), options)
        },
      })
    })
}

let people = 0

async function personAt(program: LoginProgram, sandbox: Sandbox, host: string): Promise<Person> {
  const client: LoginClient = loginClients[program]
  const home = sandbox.path('people', String(++people))
  mkdirSync(`${home}/run`, { recursive: true, mode: 0o700 })
  const env = { HOME: home, XDG_RUNTIME_DIR: `${home}/run`, DOCKER_HOST: dockerHost(sandbox) }
  const words = (args: Args) => [...(client.options?.(sandbox) ?? []), ...args]
  const person: Person = {
    path: (...parts) => [home, ...parts].join('/'),
    attempt: (args, options) => sandbox.attempt(program, words(args), { env, ...options }),
    done: (args, options) => sandbox.run(program, words(args), { env, ...options }),
  }
  if (client.trust) await person.done(client.trust(host))
  return person
}
