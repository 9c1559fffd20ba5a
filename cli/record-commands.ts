/** The commands about signing keys and the audit. */
import { type Command, command } from './command.ts'
import { commandGroup } from './command-group.ts'
import { jsonOption, storeOptions } from './options.ts'

type Print = (text: string) => void

export const recordCommands = (print: Print) =>
  ({
    keys: commandGroup({
      summary: 'the keys that sign tokens',
      commands: {
        list: command({
          summary: 'list the keys',
          options: { ...storeOptions, json: jsonOption },
          example: 'slipway keys list',
          run: async flags => {
            const { listKeys } = await import('./signing-keys.ts')
            return listKeys(flags, print)
          },
        }),
        rotate: command({
          summary: 'sign with the next key from now on',
          details: [
            'What was signed with the one before stays good until it ends. Prints the key that signs now.',
          ],
          options: storeOptions,
          example: 'slipway keys rotate',
          run: async flags => {
            const { rotateKeys } = await import('./signing-keys.ts')
            return rotateKeys(flags, print)
          },
        }),
        revoke: command({
          summary: 'take nothing any more that a key has signed',
          details: ['Clients that are logged in get another token by themselves.'],
          options: storeOptions,
          operands: ['KID'],
          example: 'slipway keys revoke NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs',
          run: async (flags, [kid = '']) => {
            const { revokeKey } = await import('./signing-keys.ts')
            return revokeKey(kid, flags)
          },
        }),
      },
    }),
    audit: commandGroup({
      summary: 'who did what',
      otherwise: command({
        summary: 'say who did what',
        details: [
          'A line is: when, who, by what that was proved, from where, what, to whom or what, how it ended, and more',
          'where there is more; - stands for what there is not.',
        ],
        options: {
          ...storeOptions,
          since: {
            type: 'string',
            value: 'TIME',
            does: 'not what is older: 24h, 2026-11-21, 2026-11-21T12:00Z',
          },
          json: { type: 'boolean', does: 'print the lines of JSON as they are kept' },
        },
        example: 'slipway audit --since 24h',
        run: async flags => {
          const { printAudit } = await import('./audit.ts')
          return printAudit(flags, print)
        },
      }),
      commands: {
        verify: command({
          summary: 'say whether a line was changed, removed or inserted',
          details: [
            'Ends with 0, or with 3 and the first line that does not fit the one before it: either was changed, or one',
            'between them removed or inserted. That last lines are missing, or that the very last one was changed, shows',
            'only to who has kept what verify printed when they were there: give that to --known.',
          ],
          options: {
            ...storeOptions,
            json: jsonOption,
            known: { type: 'string', value: 'SEQ:HASH', does: 'a line that must be there still' },
          },
          example: 'slipway audit verify',
          run: async flags => {
            const { verifyAudit } = await import('./audit.ts')
            return verifyAudit(flags, print)
          },
        }),
      },
    }),
  }) as const satisfies Readonly<Record<string, Command>>
