/** Principals and names to ask about. */
import { type Principal, type PrincipalName, parsePrincipalName } from '../../auth/access.ts'
import { parseRepositoryName } from '../../oci/names.ts'

export const anonymous: Principal = { kind: 'anonymous' }
export const user = (text: string, ...groups: readonly string[]): Principal => ({
  kind: 'user',
  name: name(text),
  groups: groups.map(name),
})
export const robot = (text: string): Principal => ({ kind: 'robot', name: name(text) })
export const workload = (text: string): Principal => ({ kind: 'workload', name: name(text) })
export const repository = parseRepositoryName

export function name(text: string): PrincipalName {
  const parsed = parsePrincipalName(text)
  if (parsed === undefined) throw new TypeError(`${text} is no name`)
  return parsed
}
