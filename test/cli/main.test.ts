import { describe, expect, it } from 'vitest'
import { settingOptions } from '../../cli/options.ts'
import manifest from '../../package.json' with { type: 'json' }
import { settingList } from '../../server/config.ts'
import { slipway } from '../helpers/program.ts'

it('prints its version', async () => {
  expect(await slipway(['--version'])).toEqual({
    status: 0,
    stdout: `slipway ${manifest.version}\n`,
    stderr: '',
  })
})

it('says which Node it needs to one that is too old', async () => {
  const older =
    "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } })"
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(older)}` }
  expect(await slipway(['--version'], { env })).toEqual({
    status: 1,
    stdout: '',
    stderr: 'slipway: needs Node 26, and this is 20.20.2: npm ci brings it, as node_modules/.bin/node\n',
  })
})

it.for(['help', '--help', '-h'])('lists its commands on %s', async word => {
  const { status, stdout, stderr } = await slipway([word])
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toMatch(/^ {2}serve {6}run the registry$/m)
  expect(stdout).toMatch(/^ {2}check {6}say what serve would do; changes nothing$/m)
})

it.for([
  ['serve', '--help'],
  ['serve', '-h'],
  ['help', 'serve'],
])('explains a command on %j', async args => {
  const { status, stdout, stderr } = await slipway(args)
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toMatch(/^usage: slipway serve \[options\]$/m)
  expect(stdout).toMatch(/^ {2}--listen ADDRESS {7}where to listen/m)
  expect(stdout).toMatch(/^example:\n {2}slipway serve --listen \S+ --data \S+$/m)
})

const commands =
  'serve, check, doctor, user, robot, token, access, protect, can, why, who-can, keys, audit, ' +
  'ls, tags, inspect, tag, rm, copy, help'

it.for([
  [['user', '--help'], /^usage: slipway user COMMAND \[options\]$/m],
  [['help', 'user'], /^ {2}passwd {3}give a user another password$/m],
  [['user', 'add', '--help'], /^usage: slipway user add \[options\] NAME$/m],
  [['help', 'token', 'create'], /^example:\n {2}slipway token create --robot ci /m],
  [['audit', '-h'], /^usage: slipway audit \[options\]$/m],
  [['audit', 'verify', '-h'], /^usage: slipway audit verify \[options\]$/m],
] as const)('explains a group of commands on %j', async ([args, expected]) => {
  const { status, stdout, stderr } = await slipway(args)
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toMatch(expected)
})

describe('ends with 2 and one line that says what there is', () => {
  it.for<[args: string[], line: string]>([
    [[], `which command? there are: ${commands}`],
    [['chek'], 'unknown command chek: did you mean check?'],
    [['fly'], `unknown command fly: there are: ${commands}`],
    [['constructor'], `unknown command constructor: there are: ${commands}`],
    [['help', 'fly'], `unknown command fly: there are: ${commands}`],
    [['user'], 'which command? there are: add, list, disable, enable, passwd, remove'],
    [['user', 'lst'], 'unknown command lst: did you mean list?'],
    [['user', '--json'], 'unknown command --json: there are: add, list, disable, enable, passwd, remove'],
    [['audit', 'verifi'], 'unknown command verifi: did you mean verify?'],
    [['--data', 'x', 'serve'], 'options stand after the command, as in slipway serve --data'],
    [['check', '--lisen=x'], 'unknown option --lisen: did you mean --listen?'],
    [
      ['serve', '--verbose'],
      'unknown option --verbose: there are: --config, --listen, --data, --storage, --log-level, --help',
    ],
    [
      ['serve', '--json'],
      'unknown option --json: there are: --config, --listen, --data, --storage, --log-level, --help',
    ],
    [['serve', '--data'], '--data needs a value: --data FOLDER'],
    [['serve', '--data', '--listen', 'x'], '--data needs a value: --data FOLDER'],
    [['check', '--json=yes'], '--json takes no value'],
    [
      ['serve', '--log-level', 'silly'],
      '--log-level: expected trace, debug, info, warn or error, found "silly"',
    ],
    [['check', '--json', '--data='], '--data: expected the path of a folder, found ""'],
    [
      ['serve', './data'],
      'unexpected argument ./data: this command takes options only: --config, --listen, --data, --storage, --log-level',
    ],
  ])('%j', async ([args, line]) => {
    expect(await slipway(args)).toEqual({ status: 2, stdout: '', stderr: `slipway: ${line}\n` })
  })
})

it('has an option for each setting that has a flag', () => {
  const flags = settingList.flatMap(({ flag }) => flag ?? [])
  expect(Object.keys(settingOptions).toSorted()).toEqual(['config', ...flags].toSorted())
})
