import { setImmediate } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { bcryptThread } from '../../auth/bcrypt-thread.ts'
import { io } from '../helpers/waiting.ts'

/** Made by: htpasswd -nbB -C 4 NAME PASSWORD. */
const bob = '$2y$04$TjJjC2jRX7YDQHZzoFooz.cPfmHkhiz3kQ/xmmTu.53im7WGMMQai'

it('takes the password of a hash that htpasswd has made, and no other', async () => {
  const { verify, close } = bcryptThread()
  const tried = ['correct horse', 'correct horsf', '', 'correct horse ']
  expect(await Promise.all(tried.map(password => verify(password, bob, io)))).toEqual([
    true,
    false,
    false,
    false,
  ])
  await close()
})

it('takes no password of which bcrypt would look at a part only', async () => {
  const { verify, close } = bcryptThread()
  const long = 'x'.repeat(72)
  const ofLong = '$2y$04$nmjAI5U34YJHWr2BO0abNep0cAv7wjJzNJeNhWLncmXBsFpMctfEO'
  expect(await verify(long, ofLong, io)).toBe(true)
  expect(await verify(`${long}y`, ofLong, io)).toBe(false)
  await close()
})

it('answers other questions meanwhile', async () => {
  const { verify, close } = bcryptThread()
  await verify('', bob, io)
  let turns = 0
  const count = setInterval(() => turns++, 1)
  await verify('wrong', `$2y$10$${bob.slice(7)}`, io)
  clearInterval(count)
  expect(turns).toBeGreaterThan(3)
  await close()
})

it('says that it is busy instead of letting everybody wait', async () => {
  const { verify, close } = bcryptThread()
  const outcomes = await Promise.allSettled(Array.from({ length: 18 }, () => verify('wrong', bob, io)))
  expect(outcomes.slice(0, 17).map(({ status }) => status)).not.toContain('rejected')
  expect(outcomes[17]).toMatchObject({ reason: { name: 'Busy' } })
  await close()
})

it('says so when it ends before it has answered, and begins again when it is asked again', async () => {
  const { verify, close } = bcryptThread()
  await verify('', bob, io)
  const asked = verify('wrong', `$2y$14$${bob.slice(7)}`, io)
  const outcome = expect(asked).rejects.toThrow('the thread that compares bcrypt hashes has ended')
  await setImmediate()
  await close()
  await outcome
  expect(await verify('correct horse', bob, io)).toBe(true)
  await close()
})
