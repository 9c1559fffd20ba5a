/** The commands about machines and their secrets. */
import { type Command, command } from './command.ts'
import { commandGroup } from './command-group.ts'
import { jsonOption, storeOptions } from './options.ts'

type Print = (text: string) => void

const globs = { type: 'string', multiple: true, value: 'GLOB' } as const

export const machineCommands = (print: Print) =>
  ({
    robot: commandGroup({
      summary: 'machines that sign in with tokens',
      commands: {
        add: command({
          summary: 'add a robot',
          details: ['It gets its secrets by token create, and what it may do by rules: access add.'],
          options: storeOptions,
          operands: ['NAME'],
          example: 'slipway robot add ci',
          run: async (flags, [name = '']) => {
            const { addMachine } = await import('./robots.ts')
            return addMachine(name, flags)
          },
        }),
        list: command({
          summary: 'list the robots',
          options: { ...storeOptions, json: jsonOption },
          example: 'slipway robot list',
          run: async flags => {
            const { listMachines } = await import('./robots.ts')
            return listMachines(flags, print)
          },
        }),
        remove: command({
          summary: 'remove a robot with all tokens',
          options: storeOptions,
          operands: ['NAME'],
          example: 'slipway robot remove ci',
          run: async (flags, [name = '']) => {
            const { removeMachine } = await import('./robots.ts')
            return removeMachine(name, flags)
          },
        }),
      },
    }),
    token: commandGroup({
      summary: 'secrets for machines, to be given as passwords',
      commands: {
        create: command({
          summary: 'make a secret of a user or robot, and print it once',
          details: [
            'With --pull, --push or --delete it can do no more than that, and never more than its owner.',
            'Each of these may be repeated; each level includes the ones before it. team-a/** is all below team-a.',
            'To log in with it, docker takes it as the password, and any name: a robot is ci there, not robot:ci.',
          ],
          options: {
            ...storeOptions,
            user: { type: 'string', value: 'NAME', does: 'whose secret it is: a user' },
            robot: { type: 'string', value: 'NAME', does: 'or a robot' },
            for: {
              type: 'string',
              value: 'TIME',
              does: 'how long it lives: without it 90d, at most 365d (settings: tokens); for a robot also: never',
            },
            pull: { ...globs, does: 'it can pull what matches' },
            push: { ...globs, does: 'it can push to what matches' },
            delete: { ...globs, does: 'it can delete in what matches' },
          },
          example: "slipway token create --robot ci --for 30d --push 'team-a/**'",
          run: async flags => {
            const { makeToken } = await import('./api-tokens.ts')
            return makeToken(flags, print)
          },
        }),
        list: command({
          summary: 'list the tokens; no secret can be shown again',
          options: { ...storeOptions, json: jsonOption },
          example: 'slipway token list',
          run: async flags => {
            const { listTokens } = await import('./api-tokens.ts')
            return listTokens(flags, print)
          },
        }),
        revoke: command({
          summary: 'end a token at once',
          options: storeOptions,
          operands: ['ID'],
          example: 'slipway token revoke abcdefghij',
          run: async (flags, [id = '']) => {
            const { endToken } = await import('./api-tokens.ts')
            return endToken(id, flags)
          },
        }),
      },
    }),
  }) as const satisfies Readonly<Record<string, Command>>
