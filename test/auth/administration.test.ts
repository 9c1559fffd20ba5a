import { expect, it } from 'vitest'
import { administration } from '../../auth/administration.ts'
import { auditLog } from '../../auth/audit-log.ts'
import { type Directory, directory } from '../../auth/directory.ts'
import { turned } from '../../auth/keys.ts'
import { addRobot } from '../../auth/machines.ts'
import { noAccessSettings } from '../../server/access-control.ts'
import { accessDocuments } from '../../server/access-documents.ts'
import { journal } from '../../storage/journal.ts'
import { memoryStore } from '../../storage/memory.ts'
import { name } from '../helpers/principals.ts'
import { io } from '../helpers/waiting.ts'

const by = { actor: 'cli:root', via: 'cli' }
const story = { action: 'robot.add', target: 'robot:ci' } as const
const addCi = (state: Parameters<typeof addRobot>[0]) => addRobot(state, name('ci'), 1)

function setUp() {
  const store = memoryStore()
  const known = directory({
    documents: accessDocuments(store),
    settings: () => noAccessSettings,
    now: Date.now,
  })
  const lines = journal(store)
  const audit = auditLog({ journal: lines, now: Date.now })
  const events = async () =>
    (await Array.fromAsync(lines.lines(io))).map(({ text }) => {
      const { action, result, actor } = JSON.parse(text)
      return [actor, action, result]
    })
  const robots = async () => (await known.view(io)).state.robots.map(robot => robot.name)
  return { known, audit, events, robots, administer: administration({ directory: known, audit, by }) }
}

it('writes a change down and makes it', async () => {
  const { administer, events, robots } = setUp()
  const state = await administer.change(addCi, story, io)
  expect(state.robots).toHaveLength(1)
  expect(await robots()).toEqual(['ci'])
  expect(await events()).toEqual([['cli:root', 'robot.add', 'done']])
})

it('changes nothing that cannot be written down', async () => {
  const { known, robots } = setUp()
  const record = () => Promise.reject(new Error('storage is full'))
  const administer = administration({ directory: known, audit: { record }, by })
  await expect(administer.change(addCi, story, io)).rejects.toThrow(
    'nothing was changed, because the audit cannot be written: storage is full',
  )
  const ring = await known.keys(io)
  const turn = administer.changeKeys(before => turned(before, 1), { action: 'key.rotate' }, io)
  await expect(turn).rejects.toThrow('nothing was changed')
  expect(await robots()).toEqual([])
  expect(await known.keys(io)).toEqual(ring)
})

it('writes nothing down of what is refused, or changes nothing', async () => {
  const { administer, events } = setUp()
  await administer.change(addCi, story, io)
  await expect(administer.change(addCi, story, io)).rejects.toThrow('already')
  await administer.change(state => state, story, io)
  expect(await events()).toHaveLength(1)
})

it('writes down when a change that was written down could not be made', async () => {
  const { known, audit, events } = setUp()
  const broken: Directory = { ...known, change: () => Promise.reject(new Error('storage is gone')) }
  const administer = administration({ directory: broken, audit, by })
  await expect(administer.change(addCi, story, io)).rejects.toThrow('storage is gone')
  expect((await events()).map(([, , result]) => result)).toEqual(['done', 'failed'])
})

it('makes changes that come at once, one after the other', async () => {
  const { administer, events, robots } = setUp()
  const names = Array.from({ length: 10 }, (_, index) => `robot-${index}`)
  await Promise.all(names.map(each => administer.change(state => addRobot(state, name(each), 1), story, io)))
  expect((await robots()).toSorted()).toEqual(names)
  expect(await events()).toHaveLength(10)
})
