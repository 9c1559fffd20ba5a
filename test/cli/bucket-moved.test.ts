/** A registry that moves from a folder into a bucket by being copied, as docs/operating.md says. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { basic } from '../helpers/access.ts'
import { administered } from '../helpers/administered.ts'
import { bucketAt, bucketVariables } from '../helpers/buckets.ts'
import { image } from '../helpers/images.ts'
import { slipway } from '../helpers/program.ts'
import { pushImage } from '../helpers/push.ts'
import { describeEngines } from '../helpers/s3-engine.ts'
import { startServer } from '../helpers/server.ts'
import { soon } from '../helpers/waiting.ts'

async function status(address: string, path: string, authorization?: string): Promise<number> {
  const answer = await fetch(new URL(`/v2/team/app/${path}`, address), {
    headers: { ...(authorization && { authorization }) },
  })
  await answer.bytes()
  return answer.status
}

describeEngines(
  it => {
    it('find in a bucket what was copied there from a folder', async ({ engine, bucket }) => {
      const { cwd, data, done, run } = administered()
      await using before = await startServer({ data })
      const moved = image({ seed: 'moved', layers: [100, 100_000] })
      await pushImage({ address: before.address, name: 'team/app' }, moved, 'v1')
      await before.stop()
      const password = await done('user add root --admin')
      await done('user add eve')
      const seen = bucketAt(engine, bucket)
      for (const path of readdirSync(data, { recursive: true, encoding: 'utf8' })) {
        const file = join(data, path)
        if (/^(tmp|u|owner\.sock)(\/|$)/.test(path) || !statSync(file).isFile()) continue
        await seen.put(`registry/${path}`, readFileSync(file), soon())
      }

      const name = `s3://${bucket}/registry`
      await using after = await startServer({ env: bucketVariables(engine, name) })
      const wanted = [
        `manifests/${moved.descriptor.digest}`,
        ...moved.blobs.map(({ descriptor }) => `blobs/${descriptor.digest}`),
      ]
      for (const path of ['manifests/v1', ...wanted])
        expect(await status(after.address, path, basic('root', password))).toBe(200)
      expect(await status(after.address, 'manifests/v1')).toBe(401)

      // In an emergency, whatever the settings say.
      writeFileSync(join(cwd, 'slipway.yaml'), 'workers: none\n')
      const { SLIPWAY_STORAGE_S3_BUCKET: _, ...rest } = bucketVariables(engine, name)
      const ended = await slipway(['user', 'disable', 'eve', '--config', '/dev/null', '--storage', name], {
        cwd,
        env: rest,
      })
      expect(ended).toEqual({ status: 0, stdout: '', stderr: 'user eve is disabled\n' })
      expect((await run('user list --config /dev/null')).stdout).toMatch(/^eve +active/m)
    }, 60_000)
  },
  ['versitygw'],
)
