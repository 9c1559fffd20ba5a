/** What a reload changes of who may do what, for the audit: a line for each setting, with what went and what came. */
import type { AuditNote } from '../auth/audit-log.ts'
import { parseHtpasswd } from '../auth/htpasswd.ts'
import type { Settings } from './config.ts'
import type { NamedFiles } from './named-files.ts'

interface Source {
  readonly settings: Settings
  readonly files: NamedFiles
}

/** Of each thing that a setting has: all that it says, and what of that may be shown. */
type Parts = ReadonlyMap<string, string>

const whole = (lines: readonly string[]): Parts => new Map(lines.map(line => [line, line]))

const partsOf: Readonly<Record<string, (source: Source) => Parts>> = {
  access: ({ settings }) =>
    whole(
      settings.access.map(({ rule, until }) => (until === undefined ? rule : `${rule} (until ${until})`)),
    ),
  protect: ({ settings }) => whole(settings.protect),
  groups: ({ settings }) =>
    whole(Object.entries(settings.groups).map(([name, members]) => `${name}: ${members.join(' ')}`)),
  workloads: ({ settings, files }) =>
    new Map(
      Object.entries(settings.workloads).map(([name, workload]) => {
        const { jwksFile } = workload
        const shown = `${name}: ${JSON.stringify(workload)}`
        return [shown + JSON.stringify(jwksFile && files.keySets[jwksFile]), shown]
      }),
    ),
  // Hashes are for nobody to read.
  'login.htpasswd': ({ files }) =>
    new Map([...parseHtpasswd(files.htpasswd ?? '')].map(([name, hash]) => [`${name}:${hash}`, name])),
}

export function accessChanges(before: Source, after: Source): readonly AuditNote[] {
  return Object.entries(partsOf).flatMap(([target, of]): AuditNote[] => {
    const [old, now] = [of(before), of(after)]
    const [gone, come] = [without(old, now), without(now, old)]
    if (gone === undefined && come === undefined) return []
    const detail = { before: gone, after: come }
    return [{ actor: 'system', via: 'system', action: 'config.reload', target, result: 'done', detail }]
  })
}

/** Those that the others do not have, as they may be shown; undefined where there are none. */
function without(parts: Parts, others: Parts): string | undefined {
  const rest = [...parts].flatMap(([says, shown]) => (others.has(says) ? [] : [shown]))
  return rest.length > 0 ? rest.join('; ') : undefined
}
