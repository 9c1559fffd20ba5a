import { linkSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Blob, type Content, catalogName, imageRepository, tagsRepository } from './content.ts'

/** Writes the tree that distribution keeps, which is quicker by minutes than pushing ten thousand tags to it. */
export function fillTree(data: string, content: Content): void {
  const root = join(data, 'docker/registry/v2')
  const blobs = blobsOf(content)
  for (const blob of [...blobs, content.manifest]) {
    link(blob, join(root, 'blobs/sha256', hex(blob).slice(0, 2), hex(blob), 'data'))
  }
  const manifestLink = join('sha256', hex(content.manifest), 'link')
  for (const { name, tags } of content.repositories) {
    const repository = join(root, 'repositories', name)
    for (const blob of name === imageRepository ? blobs : [content.config, content.small]) {
      write(join(repository, '_layers/sha256', hex(blob), 'link'), blob.digest)
    }
    write(join(repository, '_manifests/revisions', manifestLink), content.manifest.digest)
    for (const tag of tags) {
      const folder = join(repository, '_manifests/tags', tag)
      write(join(folder, 'current/link'), content.manifest.digest)
      write(join(folder, 'index', manifestLink), content.manifest.digest)
    }
  }
}

/** Writes each answer as a file at its address. */
export function fillFiles(data: string, content: Content): void {
  const repository = (name: string) => join(data, 'v2', name)
  for (const blob of blobsOf(content)) link(blob, join(repository(imageRepository), 'blobs', blob.digest))
  for (const { name, tags } of content.repositories) {
    for (const tag of name.startsWith('catalog/') ? [] : tags) {
      link(content.manifest, join(repository(name), 'manifests', tag))
    }
  }
  const page = (names: readonly string[]) => names.slice(names.length / 2, names.length / 2 + pageSize)
  const tags = content.repositories.find(({ name }) => name === tagsRepository)?.tags ?? []
  write(
    join(repository(tagsRepository), 'tags/list'),
    JSON.stringify({ name: tagsRepository, tags: page(tags) }),
  )
  const names = content.repositories.map(({ name }) => name).filter(name => name.startsWith(catalogPrefix))
  write(join(data, 'v2/_catalog'), JSON.stringify({ repositories: page(names) }))
}

export const pageSize = 100
const catalogPrefix = catalogName(0).split('/', 1)[0] ?? ''

function blobsOf({ config, small, large, huge }: Content): Blob[] {
  return [config, small, large, huge].filter(blob => blob !== undefined)
}

function hex({ digest }: Blob): string {
  return digest.slice('sha256:'.length)
}

function link({ file }: Blob, path: string): void {
  mkdirSync(dirname(path), { recursive: true })
  linkSync(file, path)
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}
