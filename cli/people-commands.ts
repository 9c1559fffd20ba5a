/** The commands about people. */
import { type Command, command, type Option } from './command.ts'
import { commandGroup } from './command-group.ts'
import { jsonOption, storeOptions } from './options.ts'

type Print = (text: string) => void

const passwordStdin = {
  type: 'boolean',
  does: 'read the password from standard input',
} as const satisfies Option

const whereFrom = [
  'A terminal is asked for the password; with --password-stdin it is the one line of standard input. Otherwise one',
  'is made and printed, once.',
]

export const peopleCommands = (print: Print) =>
  ({
    user: commandGroup({
      summary: 'people who sign in',
      commands: {
        add: command({
          summary: 'add a user',
          details: whereFrom,
          options: {
            ...storeOptions,
            admin: { type: 'boolean', does: 'make an administrator, who may do everything' },
            'password-stdin': passwordStdin,
          },
          operands: ['NAME'],
          example: 'slipway user add alice --admin',
          run: async (flags, [name = '']) => {
            const { addPerson } = await import('./people.ts')
            return addPerson(name, flags, print)
          },
        }),
        list: command({
          summary: 'list the users',
          options: { ...storeOptions, json: jsonOption },
          example: 'slipway user list',
          run: async flags => {
            const { listPeople } = await import('./people.ts')
            return listPeople(flags, print)
          },
        }),
        disable: command({
          summary: 'keep a user out, tokens too, until enabled again',
          options: storeOptions,
          operands: ['NAME'],
          example: 'slipway user disable bob',
          run: async (flags, [name = '']) => {
            const { disablePerson } = await import('./people.ts')
            return disablePerson(name, flags)
          },
        }),
        enable: command({
          summary: 'let a disabled user in again',
          options: storeOptions,
          operands: ['NAME'],
          example: 'slipway user enable bob',
          run: async (flags, [name = '']) => {
            const { enablePerson } = await import('./people.ts')
            return enablePerson(name, flags)
          },
        }),
        passwd: command({
          summary: 'give a user another password',
          details: whereFrom,
          options: { ...storeOptions, 'password-stdin': passwordStdin },
          operands: ['NAME'],
          example: 'slipway user passwd bob',
          run: async (flags, [name = '']) => {
            const { changePersonsPassword } = await import('./people.ts')
            return changePersonsPassword(name, flags, print)
          },
        }),
        remove: command({
          summary: 'remove a user with all tokens',
          options: storeOptions,
          operands: ['NAME'],
          example: 'slipway user remove bob',
          run: async (flags, [name = '']) => {
            const { removePerson } = await import('./people.ts')
            return removePerson(name, flags)
          },
        }),
      },
    }),
  }) as const satisfies Readonly<Record<string, Command>>
