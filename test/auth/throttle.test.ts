import { expect, it } from 'vitest'
import { networkOf } from '../../auth/networks.ts'
import { type Admission, throttle } from '../../auth/throttle.ts'

const minuteMs = 60_000

/** A throttle whose time can be set, and words for what it says. */
function door() {
  const clock = { nowMs: Date.UTC(2026, 10, 21) }
  const { admit, admitMachine } = throttle({ now: () => clock.nowMs })
  const tell = (admission: Admission) =>
    admission.kind === 'admitted' ? `after ${admission.delayMs}` : `in ${admission.retryAfterSeconds} s`
  const from = (address: string, account = 'bob') => ({
    /** Tries secrets that turn out to be wrong. */
    wrong: (...secrets: readonly string[]) =>
      secrets.map(secret => tell(admit({ account, address, secret }))),
    right: (secret: string) => {
      const admission = admit({ account, address, secret })
      if (admission.kind === 'admitted') admission.succeeded()
      return tell(admission)
    },
    unread: (secret: string) => {
      const admission = admit({ account, address, secret })
      if (admission.kind === 'admitted') admission.abandoned()
      return tell(admission)
    },
    machine: (...secrets: readonly string[]) => secrets.map(secret => tell(admitMachine(address, secret))),
  })
  return { clock, from }
}

const guesses = (count: number, of = 'guess') => Array.from({ length: count }, (_, index) => `${of} ${index}`)
const same = (what: string, count: number) => Array.from({ length: count }, () => what)

it('slows down the sixth wrong secret, and refuses the eleventh for the rest of the quarter of an hour', () => {
  const { clock, from } = door()
  const attacker = from('192.0.2.7')
  expect(attacker.wrong('guess 0')).toEqual(['after 0'])
  clock.nowMs += minuteMs
  expect(attacker.wrong(...guesses(10).slice(1))).toEqual([...same('after 0', 4), ...same('after 1000', 5)])
  expect(attacker.wrong('guess 10')).toEqual(['in 840 s'])
  clock.nowMs += 14 * minuteMs - 1
  expect(attacker.wrong('guess 10')).toEqual(['in 1 s'])
  clock.nowMs += 1
  expect(attacker.wrong('guess 10', 'guess 11')).toEqual(['after 1000', 'in 60 s'])
})

it('counts a wrong secret once however often it comes', () => {
  const { from } = door()
  expect(from('192.0.2.7').wrong(...same('stale', 500))).toEqual(same('after 0', 500))
})

it('still looks at a secret that it has counted, when all others are refused', () => {
  const { from } = door()
  const { wrong } = from('192.0.2.7')
  wrong(...guesses(10))
  expect(wrong('guess 3', 'guess 10')).toEqual(['after 1000', expect.stringMatching(/^in/)])
})

it('counts secrets that are looked at all at the same time', () => {
  const { from } = door()
  expect(
    from('192.0.2.7')
      .wrong(...guesses(30))
      .filter(each => each.startsWith('after')),
  ).toHaveLength(10)
})

it('counts for an account in a network, and not for its neighbours', () => {
  const { from } = door()
  from('192.0.2.7').wrong(...guesses(10))
  expect(from('192.0.2.8').wrong('x')).toEqual([expect.stringMatching(/^in/)])
  expect(from('192.0.3.7').wrong('x')).toEqual(['after 0'])
  expect(from('192.0.2.7', 'carol').wrong('x')).toEqual(['after 0'])
})

it('begins anew for an account whose secret was right', () => {
  const { from } = door()
  const { wrong, right } = from('192.0.2.7')
  wrong(...guesses(9))
  expect(right('correct')).toBe('after 1000')
  expect(wrong('guess 11')).toEqual(['after 0'])
})

it('lets a secret through from where it was right, whatever others do, for 30 days', () => {
  const { clock, from } = door()
  const bob = from('192.0.2.7')
  bob.right('correct')
  clock.nowMs += 29 * 24 * 60 * minuteMs
  const attack = () => {
    for (let host = 0; host < 60; host++) from(`198.51.${host}.1`).wrong(...guesses(10, `from ${host}`))
    for (const name of ['bob', 'carol']) from('192.0.2.7', name).wrong(...guesses(100, name))
    from('192.0.2.7').machine(...guesses(200))
  }
  attack()
  expect(bob.right('correct')).toBe('after 0')
  expect(from('192.0.2.200').right('correct')).toBe('after 0')
  clock.nowMs += 30 * 24 * 60 * minuteMs
  attack()
  expect(bob.right('correct')).toMatch(/^in/)
})

it('does not let it through from where it was never right', () => {
  const { from } = door()
  from('192.0.2.7').right('correct')
  expect(
    from('198.51.100.7')
      .wrong(...guesses(10), 'correct')
      .at(-1),
  ).toMatch(/^in/)
})

it('counts nobody who is right, however many share an address or an account', () => {
  const { from } = door()
  for (let index = 0; index < 150; index++) {
    expect(from('192.0.2.7', `user${index}`).right(`secret ${index}`)).toBe('after 0')
    expect(from(`198.51.${index}.7`, 'robot').right(`secret ${index}`)).toBe('after 0')
  }
})

it('lets nothing else through there', () => {
  const { from } = door()
  const bob = from('192.0.2.7')
  bob.right('correct')
  bob.wrong(...guesses(10))
  expect(bob.wrong('incorrect')).toEqual([expect.stringMatching(/^in/)])
  expect(
    from('192.0.2.7', 'carol')
      .wrong(...guesses(10), 'correct')
      .at(-1),
  ).toMatch(/^in/)
})

it('answers slowly for an account that many networks are at, and refuses nobody for it', () => {
  const { from } = door()
  for (let host = 0; host < 10; host++) from(`198.51.${host}.1`).wrong(...guesses(5, `from ${host}`))
  expect(from('203.0.113.1').wrong('x')).toEqual(['after 2000'])
  expect(from('203.0.114.1').right('correct')).toBe('after 2000')
  expect(from('203.0.114.1', 'carol').wrong('x')).toEqual(['after 0'])
})

it('refuses an address that tries many accounts', () => {
  const { from } = door()
  for (let index = 0; index < 100; index++)
    expect(from('192.0.2.7', `user${index}`).wrong('123456')).toEqual(['after 0'])
  expect(from('192.0.2.7', 'user100').wrong('123456')).toEqual(['in 900 s'])
  expect(from('192.0.2.8', 'user100').wrong('123456')).toEqual(['after 0'])
})

it('counts secrets of machines against their address alone, and apart from passwords', () => {
  const { from } = door()
  const { machine, wrong } = from('192.0.2.7')
  expect(machine(...guesses(100))).toEqual(same('after 0', 100))
  expect(machine('another', 'guess 3')).toEqual(['in 900 s', 'after 0'])
  expect(from('192.0.2.8').machine('x')).toEqual(['after 0'])
  expect(wrong('x')).toEqual(['after 0'])
})

it('forgets no guess at a password for any number of secrets of machines', () => {
  const { from } = door()
  from('192.0.2.7').wrong(...guesses(10))
  for (let host = 0; host < 500; host++) from(`2001:db8:0:${host.toString(16)}::1`).machine(...guesses(100))
  expect(from('192.0.2.7').wrong('x')).toEqual([expect.stringMatching(/^in/)])
})

it('does not count what was not looked at', () => {
  const { from } = door()
  const { wrong, unread } = from('192.0.2.7')
  for (const secret of guesses(50)) expect(unread(secret)).toBe('after 0')
  expect(wrong('x')).toEqual(['after 0'])
})

it('goes on counting a wrong secret of which one attempt was not looked at', () => {
  const { from } = door()
  const { wrong, unread } = from('192.0.2.7')
  wrong(...guesses(10))
  unread('guess 0')
  expect(wrong('guess 10')).toEqual([expect.stringMatching(/^in/)])
})

it('does not mix up who tries with what is tried', () => {
  const { from } = door()
  from('192.0.2.7', 'a').right('b c')
  expect(
    from('192.0.2.7', 'a b')
      .wrong(...guesses(10), 'c')
      .at(-1),
  ).toMatch(/^in/)
})

it.for([
  ['192.0.2.7', '192.0.2.7', '192.0.2.0/24'],
  ['::ffff:192.0.2.7', '192.0.2.7', '192.0.2.0/24'],
  ['::ffff:c000:207', '192.0.2.7', '192.0.2.0/24'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64', '2001:db8:1:2::/64'],
  ['2001:DB8:1:2::9', '2001:db8:1:2::/64', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64', '2001:db8:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64', 'fe80:0:0:0::/64'],
  ['::1', '0:0:0:0::/64', '0:0:0:0::/64'],
  ['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64', '64:ff9b:0:0::/64'],
  ['', 'local', 'local'],
  ['/run/slipway.sock', 'local', 'local'],
] as const)('takes %s for the host %s in %s', ([address, host, net]) => {
  expect(networkOf(address)).toEqual({ host, net })
})
