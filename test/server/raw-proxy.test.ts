import { expect, it } from 'vitest'
import { describeClient } from '../helpers/clients.ts'
import { converse } from '../helpers/converse.ts'
import { startNginx } from '../helpers/nginx.ts'
import { startRegistry } from '../helpers/registry.ts'
import { ambiguous, tolerated, unwanted } from './raw-smuggling-corpus.ts'

const last = 'GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n'

describeClient(['nginx'], () => {
  it.for(['buffered', 'unbuffered'] as const)('sees the requests that the registry sees, %s', async way => {
    await using registry = await startRegistry()
    await using nginx = await startNginx(registry.port)
    const payloads = [...ambiguous, ...tolerated, ...unwanted]
    // In one after the other: what is left of one request would be the beginning of the next.
    for (const { bytes } of payloads) await converse({ path: nginx.paths[way] }, bytes + last).catch(() => [])
    const seen = registry.observations.flatMap(each => (each.event === 'request' ? [each.id] : []))
    expect(seen.length).toBeGreaterThan(payloads.length / 4)
    for (const id of seen) expect(id).toMatch(/^nginx-\d+-\d+$/)
    expect(new Set(seen).size).toBe(seen.length)
  })
})
