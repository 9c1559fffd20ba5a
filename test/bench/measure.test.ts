import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { writeContent } from '../../bench/content.ts'
import { type Store, startEngine } from '../../bench/engine.ts'
import { openServer } from '../../bench/fleet.ts'
import { measure, type Row } from '../../bench/measure.ts'
import { type MeasurementName, measurements } from '../../bench/measurements.ts'
import { serverKinds } from '../../bench/servers.ts'
import { quickSizes } from '../../bench/sizes.ts'
import type { Io } from '../../oci/io.ts'
import { describeClient } from '../helpers/clients.ts'
import { describeUnless, needsPrograms } from '../helpers/obstacles.ts'

/** The short form of `npm run bench`: nothing here says how fast anything is. */
const sizes = {
  ...quickSizes,
  getSeconds: 0.2,
  smallPushSeconds: 0.2,
  blobBytes: 2_000_000,
  giantBytes: 20_000_000,
  pushes: { 1: 1, 4: 4, 16: 16 },
  pushedTags: 20,
  distinctTokens: 20,
  loginSeconds: 1,
}

it('measures Slipway as it does in a long run', ({ signal }) =>
  measureSlipway(['get', 'push', 'push-small', 'push-tags'], { signal }))

describeClient(['wrk'], () => {
  it('measures what it costs to ask who comes', { timeout: 120_000 }, async ({ signal }) => {
    const rows = await measureSlipway(['bearer', 'tokens', 'logins'], { signal })
    const samples = rows.map(row => ('sample' in row ? row.sample : undefined))
    expect(samples.map(sample => sample?.pairRatio !== undefined)).toEqual([
      ...[false, true, true],
      ...[false, false],
      ...[false, false, false],
    ])
    const [beside, alone] = samples.slice(-2)
    expect(beside?.note).toMatch(/^[1-9]\d* of [1-9]\d* hashed/)
    expect(alone?.note).toMatch(/^[1-9]\d* of [1-9]\d* hashed/)
  })
})

describeUnless(needsPrograms(['versitygw']), 'on an S3 store', () => {
  it('measures Slipway, and what it asks of the store', { timeout: 120_000 }, async ({ signal }) => {
    const io = { signal }
    await using folder = await mkdtempDisposable(join(tmpdir(), 'slipway-bench-engine-'))
    const engine = await startEngine(folder.path, io)
    try {
      const rows = await measureSlipway(
        ['s3-requests', 's3-push', 's3-get', 's3-push-small'],
        io,
        await engine.store(),
      )
      const [layer] = rows
      expect(layer && 'sample' in layer && layer.sample.note).toMatch(/^\d+ PUT/)
    } finally {
      await engine.stop()
    }
  })
})

async function measureSlipway(names: readonly MeasurementName[], io: Io, store?: Store): Promise<Row[]> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'slipway-bench-'))
  const kind = serverKinds.find(({ id }) => id === 'slipway')
  const found = await kind?.find({}, io)
  if (!kind || !found || 'missing' in found) throw new Error('the bench does not know Slipway')
  const needs = new Set(names.flatMap(name => measurements[name].needs))
  const content = await writeContent(join(folder.path, 'content'), needs, sizes, io)
  const server = await openServer({ kind, ...found }, join(folder.path, 'slipway'), content, io, store)
  const all: Row[] = []
  try {
    for (const name of names) {
      const plan = measurements[name].plan({ sizes, content, copy: false })
      const rows = await measure(plan, [server], () => {}, io)
      expect(rows.map(({ line }) => line.title)).toEqual(plan.lines.map(({ title }) => title))
      for (const row of rows) {
        if ('failure' in row) throw new Error(`${row.line.title}: ${row.failure}`)
        // Of processor time, the kernel may have counted nothing in so short a load.
        const isTime = row.line.unit.startsWith('s/')
        expect(row.sample.value).toBeGreaterThan(isTime ? -1 : 0)
      }
      all.push(...rows)
    }
    return all
  } finally {
    await server.stop()
  }
}
