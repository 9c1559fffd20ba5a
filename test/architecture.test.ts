/** The shape of the program: what may know what. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Folders, and those that each may import. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  cli: ['server', 'runtime', 'client', 'auth', 'oci'],
  server: ['auth', 'storage', 'client', 'kernel', 'oci'],
  runtime: ['client', 'kernel', 'oci'],
  web: ['oci'],
  client: ['oci'],
  auth: ['oci'],
  storage: ['oci'],
  kernel: [],
  oci: [],
}

/** Packages, and who knows them: a folder or a file's beginning. */
const knownTo: Readonly<Record<string, readonly string[]>> = {
  koa: ['server/'],
  pino: ['server/observe.ts'],
  zod: ['server/config', 'docs/'],
  yaml: ['server/config', 'docs/'],
  '@aws-sdk/client-s3': ['storage/s3-', 'bench/engine.ts', 'test/helpers/s3-engine.ts'],
  koffi: ['kernel/syscalls.ts', 'bench/'],
  jose: ['auth/jwt.ts'],
  bcryptjs: ['auth/hashing.ts'],
  'lru-cache': [
    'auth/ask-once.ts',
    'auth/authenticator.ts',
    'auth/rates.ts',
    'auth/counters.ts',
    'auth/throttle.ts',
    'auth/tokens.ts',
    'storage/bucket-uploads.ts',
    'storage/cached.ts',
    'storage/folder-listing.ts',
    'storage/repositories.ts',
    'storage/upload-digests.ts',
  ],
}

const product = Object.keys(arrows)
const folders = [...product, 'bench', 'docs', 'test']
const specifier = /(?:\bfrom |\bimport\s*\(?\s*|\brequire\(|import\.meta\.url\)\()'([^'\n]+)'/g

const isThere = new Set(readdirSync(root))
const sources = folders
  .filter(folder => isThere.has(folder))
  .flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map(name => join(folder, name)),
  )
  .filter(path => path.endsWith('.ts'))
  .map(path => {
    const text = readFileSync(join(root, path), 'utf8')
    return { path, text, imports: [...text.matchAll(specifier)].map(([, name = '']) => name) }
  })
const ours = sources.filter(({ path }) => product.includes(path.split('/')[0] ?? ''))

it('finds the sources', () => {
  expect(ours.length).toBeGreaterThan(50)
  expect(ours.flatMap(({ imports }) => imports)).toContain('koa')
})

it('imports down the list of folders only', () => {
  const wrong = ours.flatMap(({ path, imports }) => {
    const folder = path.split('/')[0] ?? ''
    return imports
      .filter(name => name.startsWith('.'))
      .map(name => join(dirname(path), name).split('/')[0] ?? '')
      .filter(to => to !== folder && !arrows[folder]?.includes(to))
      .map(to => `${path} imports ${to}/`)
  })
  expect(wrong).toEqual([])
})

it('knows each package in one place', () => {
  const wrong = sources
    .filter(({ path }) => !path.startsWith('test/'))
    .flatMap(({ path, imports }) =>
      imports
        .filter(name => !name.startsWith('.') && !name.startsWith('node:'))
        .filter(name => !knownTo[name]?.some(place => path.startsWith(place)))
        .map(name => `${path} imports ${name}`),
    )
  expect(wrong).toEqual([])
})

it('keeps files under 300 lines', () => {
  expect(sources.filter(({ text }) => text.split('\n').length > 301).map(({ path }) => path)).toEqual([])
})

it('makes no objects with accessors for a request: each gets a hidden class of its own (decision 0024)', () => {
  const served = ours.filter(({ path }) => /^(?:server|storage|auth|oci)\//.test(path))
  expect(served.filter(({ text }) => /^\s+get \w+\(\)/m.test(text)).map(({ path }) => path)).toEqual([])
})

it('keeps folders one deep', () => {
  expect(ours.filter(({ path }) => path.split('/').length !== 2).map(({ path }) => path)).toEqual([])
})

it('reads the environment in server/config.ts only', () => {
  const readers = ours.filter(({ text }) => text.includes('process.env')).map(({ path }) => path)
  expect(readers).toEqual(['server/config.ts'])
})

it('writes to the console in cli/ only', () => {
  const writers = ours.filter(({ path, text }) => !path.startsWith('cli/') && /\bconsole\./.test(text))
  expect(writers.map(({ path }) => path)).toEqual([])
})
