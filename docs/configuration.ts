/** Prints docs/configuration.md from the schema of the settings: `npm run docs`. */
import { writeFileSync } from 'node:fs'
import { settingList } from '../server/config.ts'
import type { Setting } from '../server/config-sources.ts'

export const pageFile = new URL('configuration.md', import.meta.url)

export function configurationPage(): string {
  return `${introduction}\n${settingList.map(describe).join('\n')}`
}

const introduction = `<!-- Printed from server/config-schema.ts and server/config-access.ts by \`npm run docs\`. Change the text there. -->

# Configuration

Slipway runs without any configuration. What you set comes from, the strongest first:

1. a flag of the command: \`slipway serve --data /srv/slipway\`;
2. the environment: \`SLIPWAY_\` and the path of the setting in capitals, with \`_\` for dots;
3. one YAML file: \`--config FILE\`, else the file that \`SLIPWAY_CONFIG\` names, else \`./slipway.yaml\` if it is there.

Sizes are whole numbers with KiB, MiB or GiB, or bytes: \`4MiB\`, \`4194304\`. Times have s, m, h or d: \`90s\`, \`24h\`.

A setting that does not exist, a value that is not accepted, a key that stands twice, or an unknown variable
\`SLIPWAY_…\` stops the start; all faults are listed, each with the place where it stands and what is accepted.
Kubernetes' variables for a service of this name, such as \`SLIPWAY_SERVICE_HOST\`, do no harm.
\`slipway check\` says what \`slipway serve\` would do, and where each value comes from, and changes nothing.

On SIGHUP a running server reads its settings again, from the same places. It takes those marked below; a changed
value of another one waits for a restart. If there is a fault, it goes on with what it has.

All settings with their defaults:

\`\`\`yaml
${exampleLines(settingList).join('\n')}
\`\`\`
`

function describe(setting: Setting): string {
  const code = (text: string) => `\`${text}\``
  const facts = [
    ['Accepted', setting.accepts],
    ...Object.entries(setting.fields ?? {}).map(([field, accepts]) => [
      `Accepted as ${code(field)}`,
      accepts,
    ]),
    ['Default', setting.default === undefined ? 'none' : code(setting.default)],
    ['Environment', code(setting.env)],
    ...(setting.flag ? [['Flag', code(`--${setting.flag}`)]] : []),
    ['On SIGHUP', setting.reloadable ? 'taken' : 'waits for a restart'],
  ]
  const lines = facts.map(([fact, text]) => `- ${fact}: ${text}`)
  return [`## ${setting.name}`, '', setting.does, '', ...lines, ''].join('\n')
}

/** The settings as a file would have them. */
function exampleLines(settings: readonly Setting[], depth = 0): string[] {
  return [...Map.groupBy(settings, ({ path }) => path[depth] ?? '')].flatMap(([key, group]) => {
    const indent = '  '.repeat(depth)
    const leaf = group.find(({ path }) => path.length === depth + 1)
    if (leaf === undefined) return [`${indent}${key}:`, ...exampleLines(group, depth + 1)]
    return [leaf.default === undefined ? `${indent}# ${key}:` : `${indent}${key}: ${leaf.default}`]
  })
}

if (import.meta.main) writeFileSync(pageFile, configurationPage())
