import { describe, expect, it } from 'vitest'
import type { Server } from '../../bench/fleet.ts'
import { type Measurement, measure, type Sample } from '../../bench/measure.ts'
import { serverKinds } from '../../bench/servers.ts'
import { markdownTable } from '../../bench/table.ts'
import { parseWrk } from '../../bench/wrk.ts'

const never = () => Promise.reject(new Error('not in this test'))
const servers: Server[] = serverKinds.map(kind => ({
  kind,
  name: kind.id,
  folder: '/nowhere',
  port: () => 0,
  pid: () => 0,
  restart: never,
  launchAnother: never,
  stop: never,
}))

const line = { title: 'GET', unit: 'MB/s', cpuUnit: 's/GB', goal: { ratioAtLeast: 2, cpuRatioAtMost: 0.35 } }

function measurement(take: (id: string, round: number) => Sample): Measurement {
  return {
    name: 'get',
    rounds: 3,
    lines: [line],
    applies: () => true,
    take: async (server, round) => [take(server.kind.id, round)],
  }
}

describe('a measurement', () => {
  it('times the servers in rotation and prints medians, ratios and goals', async ({ signal }) => {
    const order: string[] = []
    const rows = await measure(
      measurement((id, round) => {
        order.push(id)
        return id === 'slipway' ? { value: [10, 900, 30][round] ?? 0, cpu: 0.2 } : { value: 10, cpu: 0.5 }
      }),
      servers,
      () => {},
      { signal },
    )
    expect(order.filter((_, index) => index % servers.length === 0)).toEqual([
      'slipway',
      'distribution',
      'docker-registry',
    ])
    const [slipway, distribution] = markdownTable().rows(rows).split('\n')
    expect(slipway).toBe(
      '| GET | slipway | 30.0 MB/s |  |  | 0.200 s/GB | 3.00 | 0.400 |  | >= 2x: met; CPU <= 0.35x: MISSED |',
    )
    expect(distribution).toBe('| GET | distribution | 10.0 MB/s |  |  | 0.500 s/GB | 1.00 | 1.00 |  |  |')
  })

  it('believes the ratios of pairs more than those of medians', async ({ signal }) => {
    const lines = [
      { title: 'open', unit: 'req/s' },
      { title: 'asked', unit: 'req/s', goal: { ratioAtLeast: 0.85, valueAtLeast: 150, ownLine: 'open' } },
    ]
    const pairs = [
      [100, 90],
      [200, 160],
      [300, 270],
    ]
    const [slipway] = servers
    const rows = await measure(
      {
        ...measurement(() => ({ value: 0 })),
        lines,
        take: async (_server, round) => {
          const [open = 0, asked = 0] = pairs[round] ?? []
          return [{ value: open }, { value: asked, pairRatio: asked / open }]
        },
      },
      slipway ? [slipway] : [],
      () => {},
      { signal },
    )
    expect(markdownTable().rows(rows).split('\n')[1]).toBe(
      '| asked | slipway | 160 req/s |  |  |  | 0.900 |  |  | >= 0.85x: met; >= 150 req/s: met |',
    )
  })

  it('prints no number for a server that failed once', async ({ signal }) => {
    const rows = await measure(
      measurement((id, round) => {
        if (id === 'nginx' && round === 1) throw new Error('3 of 7 requests failed')
        return { value: 10 }
      }),
      servers,
      () => {},
      { signal },
    )
    expect(markdownTable().rows(rows).split('\n').at(-1)).toMatch(
      /^\| GET \| nginx \| FAILED \|.*3 of 7 requests failed \|$/,
    )
  })
})

const wrkOutput = `Running 1s test @ http://127.0.0.1:1/
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   940.02us    1.02ms  20.11ms   97.99%
    Req/Sec    70.11k     3.40k   75.00k    80.00%
  Latency Distribution
     50%  712.00us
     75%    1.05ms
     90%    1.60ms
     99%    4.87ms
  70510 requests in 1.02s, 160.01MB read
Requests/sec:  69127.45
Transfer/sec:    156.87MB
`

describe('what wrk prints', () => {
  it('is read with its units', () => {
    expect(parseWrk(wrkOutput)).toEqual({
      requests: 70510,
      requestsPerSecond: 69127.45,
      seconds: 1.02,
      p50Ms: 0.712,
      p99Ms: 4.87,
    })
  })

  it.for([
    ['  Non-2xx or 3xx responses: 12', /12 answers were not 2xx/],
    ['  Socket errors: connect 0, read 3, write 0, timeout 0', /read 3/],
  ] as const)('is refused with %s', ([fault, message]) => {
    expect(() => parseWrk(`${wrkOutput}${fault}\n`)).toThrow(message)
  })
})
