/** The commands about rules: what they are, and what follows from them. */
import { type Command, command } from './command.ts'
import { commandGroup } from './command-group.ts'
import { jsonOption, storeOptions } from './options.ts'

type Print = (text: string) => void

const who = 'WHO is alice, robot:ci, workload:x or anonymous.'

export const accessCommands = (print: Print) =>
  ({
    access: commandGroup({
      summary: 'rules: who may do what',
      commands: {
        list: command({
          summary: 'list the rules, those of the settings too',
          options: { ...storeOptions, json: jsonOption },
          example: 'slipway access list',
          run: async flags => {
            const { listRules } = await import('./rules.ts')
            return listRules(flags, print)
          },
        }),
        add: command({
          summary: 'add a rule, and print its id',
          details: [
            'RULE is one word to the shell: LEVEL PATTERN WHO…, in quotes. LEVEL is pull, push, delete or admin, each with',
            'the ones before it. PATTERN is team-a/** for all below team-a, team-a for that repository alone, ** for all.',
            'WHO is anyone, signed-in (users, not robots), NAME, @GROUP, robot:NAME or workload:NAME.',
            'The first rule of all replaces the one that stands without any: delete ** signed-in.',
          ],
          options: {
            ...storeOptions,
            until: { type: 'string', value: 'DATE', does: 'it ends after this day, or at 2026-12-31T18:00Z' },
            note: { type: 'string', value: 'TEXT', does: 'what it is for' },
          },
          operands: ["'RULE'"],
          example: "slipway access add 'push team-a/** bob' --until 2026-12-31",
          run: async (flags, [rule = '']) => {
            const { writeRule } = await import('./rules.ts')
            return writeRule(rule, flags, print)
          },
        }),
        remove: command({
          summary: 'remove a stored rule',
          options: storeOptions,
          operands: ['ID'],
          example: 'slipway access remove abcdefgh',
          run: async (flags, [id = '']) => {
            const { eraseRule } = await import('./rules.ts')
            return eraseRule(id, flags)
          },
        }),
      },
    }),
    protect: commandGroup({
      summary: 'protections: what nobody may do, administrators included',
      commands: {
        list: command({
          summary: 'list the protections, those of the settings too',
          options: { ...storeOptions, json: jsonOption },
          example: 'slipway protect list',
          run: async flags => {
            const { listProtections } = await import('./stored-protections.ts')
            return listProtections(flags, print)
          },
        }),
        add: command({
          summary: 'add a protection, and print its id',
          details: [
            'PROTECTION is KIND PATTERN or KIND PATTERN:TAGS, in quotes. KIND is immutable (tags are not moved or deleted),',
            'no-delete (nothing is deleted) or frozen (nothing changes).',
          ],
          options: storeOptions,
          operands: ["'PROTECTION'"],
          example: "slipway protect add 'immutable prod/**:v*'",
          run: async (flags, [protection = '']) => {
            const { writeProtection } = await import('./stored-protections.ts')
            return writeProtection(protection, flags, print)
          },
        }),
        remove: command({
          summary: 'remove a stored protection',
          options: storeOptions,
          operands: ['ID'],
          example: 'slipway protect remove abcdefgh',
          run: async (flags, [id = '']) => {
            const { eraseProtection } = await import('./stored-protections.ts')
            return eraseProtection(id, flags)
          },
        }),
      },
    }),
    can: command({
      summary: 'say whether somebody may do something: ends with 0 for yes, 1 for no',
      details: [
        who,
        'LEVEL is pull, push, delete or admin. NAME is a repository, without a host or tag.',
        'A token can have a narrower limit than its owner: see slipway token list.',
      ],
      options: { ...storeOptions, json: jsonOption },
      operands: ['WHO', 'LEVEL', 'NAME'],
      example: 'slipway can alice push team-a/api',
      run: async (flags, [word = '', level = '', name = '']) => {
        const { can } = await import('./questions.ts')
        return can(word, level, name, flags, print)
      },
    }),
    why: command({
      summary: 'say what somebody may do in a repository, and by which rules',
      details: [who],
      options: { ...storeOptions, json: jsonOption },
      operands: ['WHO', 'NAME'],
      example: 'slipway why robot:ci team-a/api',
      run: async (flags, [word = '', name = '']) => {
        const { why } = await import('./questions.ts')
        return why(word, name, flags, print)
      },
    }),
    'who-can': command({
      summary: 'say who may do something in a repository, and by which rules',
      options: { ...storeOptions, json: jsonOption },
      operands: ['LEVEL', 'NAME'],
      example: 'slipway who-can delete team-a/api',
      run: async (flags, [level = '', name = '']) => {
        const { whoCan } = await import('./questions.ts')
        return whoCan(level, name, flags, print)
      },
    }),
  }) as const satisfies Readonly<Record<string, Command>>
