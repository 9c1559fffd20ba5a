/** What a registry demands of those that it does not know (RFC 9110, 11.6.1). */
export interface Challenge {
  /** In lower case: `bearer`, `basic`. */
  readonly scheme: string
  /** Names are in lower case. */
  readonly parameters: ReadonlyMap<string, string>
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const parameter = new RegExp(`^(${token})[ \\t]*=[ \\t]*(?:"((?:[^"\\\\]|\\\\.)*)"|(${token}))`)
const scheme = new RegExp(`^(${token})(?:[ \\t]+|(?=,|$))`)

/** Several challenges may share a line, and a comma stands between them as it does between parameters. */
export function parseChallenges(header: string | undefined): readonly Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = []
  for (let rest = skip(header ?? ''); rest !== ''; rest = skip(rest)) {
    const pair = parameter.exec(rest)
    const found = pair ?? scheme.exec(rest)
    if (!found) break
    const [whole, name = '', quoted, plain = ''] = found
    if (pair)
      challenges.at(-1)?.parameters.set(name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, '$1') ?? plain)
    else challenges.push({ scheme: name.toLowerCase(), parameters: new Map() })
    rest = rest.slice(whole.length)
  }
  return challenges
}

const skip = (text: string) => text.replace(/^[ \t,]+/, '')
