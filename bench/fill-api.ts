import { openAsBlob } from 'node:fs'
import type { Io } from '../oci/io.ts'
import type { Job } from './client.ts'
import { type Blob, type Content, imageRepository } from './content.ts'
import { runClient } from './run-client.ts'

const parallel = 16

/** Pushes everything to a server, as any client would. */
export async function fillThroughApi(port: number, content: Content, io: Io): Promise<void> {
  for (const blob of [content.large, content.huge]) {
    if (blob !== undefined) await pushBlob(port, imageRepository, blob, io)
  }
  const repositories = content.repositories.values()
  await Promise.all(
    Array.from({ length: parallel }, async () => {
      for (const { name, tags } of repositories) {
        await pushImage(port, name, content, tags.length === 1 ? tags[0] : undefined, io)
        if (tags.length > 1) await runClient(tagsJob(port, name, content, tags.length), io)
      }
    }),
  )
}

/** The two blobs that the manifest names, and it by a tag. */
export async function pushImage(
  port: number,
  repository: string,
  content: Content,
  tag: string | undefined,
  io: Io,
): Promise<void> {
  for (const blob of [content.config, content.small]) await pushBlob(port, repository, blob, io)
  if (tag === undefined) return
  await send(201, port, `/v2/${repository}/manifests/${tag}`, {
    method: 'PUT',
    body: content.manifest.text,
    headers: { 'Content-Type': content.manifest.mediaType },
    signal: io.signal,
  })
}

export function tagsJob(port: number, repository: string, { manifest }: Content, count: number): Job {
  const { text, mediaType } = manifest
  return { kind: 'tags', port, repository, manifest: text, mediaType, count, connections: parallel }
}

async function pushBlob(port: number, repository: string, blob: Blob, { signal }: Io): Promise<void> {
  const begun = await send(202, port, `/v2/${repository}/blobs/uploads/`, { method: 'POST', signal })
  const target = new URL(begun.headers.get('Location') ?? '', `http://127.0.0.1:${port}`)
  target.searchParams.set('digest', blob.digest)
  const headers = { 'Content-Type': 'application/octet-stream' }
  await send(201, port, `${target.pathname}${target.search}`, {
    method: 'PUT',
    body: await openAsBlob(blob.file),
    headers,
    signal,
  })
}

async function send(status: number, port: number, path: string, request: RequestInit): Promise<Response> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, request)
  const text = await response.text()
  if (response.status === status) return response
  throw new Error(
    `${request.method} ${path}: status ${response.status}, expected ${status}: ${text.slice(0, 200)}`,
  )
}
