import { argon2Sync } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { hashingThread } from '../../auth/hashing-thread.ts'
import { io } from '../helpers/waiting.ts'

/** Made by: htpasswd -nbB -C 4 NAME PASSWORD. */
const bob = '$2y$04$TjJjC2jRX7YDQHZzoFooz.cPfmHkhiz3kQ/xmmTu.53im7WGMMQai'

const cheap = {
  ...{ message: Buffer.from('correct horse'), nonce: Buffer.alloc(16, 7) },
  ...{ memory: 8, passes: 1, parallelism: 1, tagLength: 32 },
}

/** Of every thread of this process: proc(5), the 19th field of stat. */
const niceness = () =>
  readdirSync('/proc/self/task').map(id => {
    const stat = readFileSync(`/proc/self/task/${id}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16])
  })

it('takes the password of a hash that htpasswd has made, and no other', async () => {
  const { isBcryptOf, close } = hashingThread()
  const tried = ['correct horse', 'correct horsf', '', 'correct horse ']
  expect(await Promise.all(tried.map(password => isBcryptOf(bob, password, io)))).toEqual([
    true,
    false,
    false,
    false,
  ])
  await close()
})

it('takes no password of which bcrypt would look at a part only', async () => {
  const { isBcryptOf, close } = hashingThread()
  const long = 'x'.repeat(72)
  const ofLong = '$2y$04$nmjAI5U34YJHWr2BO0abNep0cAv7wjJzNJeNhWLncmXBsFpMctfEO'
  expect(await isBcryptOf(ofLong, long, io)).toBe(true)
  expect(await isBcryptOf(ofLong, `${long}y`, io)).toBe(false)
  await close()
})

it('answers other questions meanwhile', async () => {
  const { isBcryptOf, close } = hashingThread()
  await isBcryptOf(bob, '', io)
  let turns = 0
  const count = setInterval(() => turns++, 1)
  await isBcryptOf(`$2y$10$${bob.slice(7)}`, 'wrong', io)
  clearInterval(count)
  expect(turns).toBeGreaterThan(3)
  await close()
})

it('says that it is busy instead of letting everybody wait, whatever is asked', async () => {
  const { argon2id, isBcryptOf, close } = hashingThread(2)
  const outcomes = await Promise.allSettled([
    isBcryptOf(bob, 'wrong', io),
    argon2id(cheap, io),
    isBcryptOf(bob, 'correct horse', io),
    argon2id(cheap, io),
  ])
  expect(outcomes).toMatchObject([
    { value: false },
    { value: new Uint8Array(argon2Sync('argon2id', cheap)) },
    { value: true },
    { reason: { name: 'Busy' } },
  ])
  expect(await isBcryptOf(bob, 'correct horse', io)).toBe(true)
  await close()
})

it.runIf(process.platform === 'linux')('leaves the cores to all others', async () => {
  const polite = Math.min(19, getPriority() + 10)
  const politeThreads = () => niceness().filter(each => each === polite).length
  const { argon2id, close } = hashingThread()
  const before = politeThreads()
  await argon2id(cheap, io)
  expect(politeThreads()).toBe(before + 1)
  await close()
})

it('says so when it ends before it has answered, and begins again when it is asked again', async () => {
  const { isBcryptOf, close } = hashingThread()
  await isBcryptOf(bob, '', io)
  const asked = isBcryptOf(`$2y$14$${bob.slice(7)}`, 'wrong', io)
  const outcome = expect(asked).rejects.toThrow('the thread that hashes passwords has ended')
  await setImmediate()
  await close()
  await outcome
  expect(await isBcryptOf(bob, 'correct horse', io)).toBe(true)
  await close()
})
