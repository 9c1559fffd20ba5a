import { expect, it } from 'vitest'
import { type AuditEvent, chainStart, nextLine, verifyChain } from '../../auth/audit.ts'
import { makeSecret } from '../../auth/secrets.ts'

const event: AuditEvent = {
  at: '2026-11-21T12:00:00.000Z',
  actor: 'user:alice',
  via: 'token:abcdefghij',
  ip: '192.0.2.7',
  action: 'tag.move',
  target: 'team/app:latest',
  result: 'done',
  detail: { before: 'sha256:aa', after: 'sha256:bb' },
}

function chain(count: number, from = chainStart) {
  const lines: string[] = []
  let end = from
  for (let index = 0; index < count; index++) {
    const next = nextLine(end, { ...event, target: `team/app:${index}` })
    lines.push(next.line)
    end = next.end
  }
  return { lines, end }
}

it('writes an event as a line of JSON that names the line before it', () => {
  const { line, end } = nextLine({ seq: 6, hash: 'ab'.repeat(32) }, event)
  expect(line).toBe(
    `{"seq":7,"previous":"${'ab'.repeat(32)}","at":"2026-11-21T12:00:00.000Z","actor":"user:alice",` +
      '"via":"token:abcdefghij","ip":"192.0.2.7","action":"tag.move","target":"team/app:latest","result":"done",' +
      '"detail":{"before":"sha256:aa","after":"sha256:bb"}}',
  )
  expect(end).toMatchObject({ seq: 7, hash: expect.stringMatching(/^[0-9a-f]{64}$/) })
})

it('leaves out what is not known', () => {
  const { line } = nextLine(chainStart, { ...event, ip: undefined, target: undefined, detail: {} })
  expect(Object.keys(JSON.parse(line))).toEqual(['seq', 'previous', 'at', 'actor', 'via', 'action', 'result'])
})

it('writes no field that is not meant for it', () => {
  const careless = { ...event, password: 'hunter2', detail: { reason: 'wrong', secret: 'hunter2' } }
  const { line } = nextLine(chainStart, careless)
  expect(line).not.toContain('hunter2')
  expect(JSON.parse(line).detail).toEqual({ reason: 'wrong' })
})

it('writes no secret, in whatever field it comes', () => {
  const { text, id } = makeSecret('personal')
  const jwt = `${Buffer.from('{"alg":"ES256"}').toString('base64url')}.e30.c2ln`
  const url = 'https://bob:hunter2@mirror.example/v2/'
  const { line } = nextLine(chainStart, {
    ...event,
    target: `${text} ${url}`,
    detail: { reason: jwt, before: text },
  })
  for (const secret of [text, text.slice(17), jwt, jwt.slice(0, 20), 'hunter2'])
    expect(line).not.toContain(secret)
  expect(line).toContain(id)
  expect(line).toContain('mirror.example')
})

it('keeps a line a line', async () => {
  const { line, end } = nextLine(chainStart, {
    ...event,
    target: `a\n{"seq":2}\u2028\r${'x'.repeat(10_000)}`,
  })
  expect(line).not.toMatch(/[\n\r]/)
  expect(line.length).toBeLessThan(1_000)
  expect(await verifyChain([line])).toEqual({ kind: 'intact', end })
})

it('finds a chain intact, in one piece or in several', async () => {
  const { lines, end } = chain(20)
  expect(await verifyChain([])).toEqual({ kind: 'intact', end: chainStart })
  expect(await verifyChain(lines)).toEqual({ kind: 'intact', end })
  const first = await verifyChain(lines.slice(0, 8))
  const middle = first.kind === 'intact' ? first.end : chainStart
  expect(await verifyChain(lines.slice(8), middle)).toEqual({ kind: 'intact', end })
})

it('reads lines as they come', async () => {
  const { lines, end } = chain(3)
  async function* slowly() {
    yield* lines
  }
  expect(await verifyChain(slowly())).toEqual({ kind: 'intact', end })
})

it.for<[what: string, spoil: (lines: string[]) => string[], line: number, reason: RegExp]>([
  ['changed', l => l.with(4, (l[4] ?? '').replace('alice', 'mallet')), 6, /does not follow/],
  ['a byte longer', l => l.with(4, `${l[4]} `), 6, /does not follow/],
  ['removed', l => l.toSpliced(4, 1), 5, /does not follow/],
  ['inserted', l => l.toSpliced(4, 0, nextLine(chainStart, event).line), 5, /does not follow/],
  ['repeated', l => l.toSpliced(4, 0, l[3] ?? ''), 5, /does not follow/],
  ['moved', l => [...l.slice(0, 4), ...l.slice(5, 6), ...l.slice(4, 5), ...l.slice(6)], 5, /does not follow/],
  ['emptied', l => l.with(4, ''), 5, /no line of an audit/],
  ['null', l => l.with(4, 'null'), 5, /no line of an audit/],
  ['cut', l => l.with(4, (l[4] ?? '').slice(0, 40)), 5, /no line of an audit/],
  [
    'numbered otherwise',
    l => l.with(9, (l[9] ?? '').replace('"seq":10', '"seq":11')),
    10,
    /its number is 11 where 10/,
  ],
  ['the first to be missing', l => l.slice(1), 1, /does not follow/],
])('tells where a line was %s', async ([, spoil, line, reason]) => {
  const verdict = await verifyChain(spoil(chain(10).lines))
  expect(verdict).toEqual({ kind: 'broken', line, reason: expect.stringMatching(reason) })
})

it('leaves it to who knows the end to tell that the last lines are missing', async () => {
  const { lines, end } = chain(10)
  const verdict = await verifyChain(lines.slice(0, 8))
  expect(verdict).toMatchObject({ kind: 'intact', end: { seq: 8 } })
  expect(verdict).not.toMatchObject({ end })
})
