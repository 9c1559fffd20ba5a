import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'
import { append, startUpload } from '../helpers/upload.ts'

it('removes uploads that lie idle for too long by itself, and says so', async () => {
  await using server = await startServer({ env: { SLIPWAY_LIMITS_UPLOAD_TTL: '1s' } })
  const upload = await startUpload({ address: server.address, name: 'purge' })
  const { url } = await append(upload, Buffer.from('left behind'))
  await until('the log tells of a purge', () => server.log.some(({ msg }) => msg === 'purged'))
  expect(server.log.find(({ msg }) => msg === 'purged')).toMatchObject({ uploads: 1 })
  expect((await fetch(url)).status).toBe(404)
  const left = readdirSync(join(server.data ?? '', 'u'), { recursive: true, withFileTypes: true })
  expect(left.filter(entry => entry.isFile())).toEqual([])
})
