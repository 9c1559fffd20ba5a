import { expect, it } from 'vitest'
import { isSecretLike, isSecretOf, makeSecret, parseSecret } from '../../auth/secrets.ts'

const kinds = ['personal', 'robot', 'setup'] as const

it.for(kinds)('makes a secret of the kind %s that leads back to its id', kind => {
  const { text, id, sha256 } = makeSecret(kind)
  expect(text).toMatch(new RegExp(`^slw_${kind[0]}_[a-z2-7]{10}_[0-9A-Za-z]{38}$`))
  const secret = parseSecret(text)
  expect(secret).toEqual({ text, kind, id })
  expect(secret && isSecretOf(secret, sha256)).toBe(true)
  expect(text).not.toContain(sha256)
})

it('makes each secret once', () => {
  const made = Array.from({ length: 100 }, () => makeSecret('robot'))
  expect(new Set(made.map(({ text }) => text.slice(17))).size).toBe(100)
  expect(new Set(made.map(({ id }) => id)).size).toBe(100)
})

it('has a checksum that others can compute', () => {
  const text = `slw_r_abcdefghij_${'0'.repeat(32)}`
  expect(parseSecret(`${text}4UeM6X`)).toMatchObject({ kind: 'robot', id: 'abcdefghij' })
})

it('tells every typing error before anything is looked up', () => {
  const { text } = makeSecret('personal')
  const wrong = [...text].flatMap((character, at) => {
    const other = character === 'a' ? 'b' : 'a'
    const next = text[at + 1] ?? ''
    const swapped = `${text.slice(0, at)}${next}${character}${text.slice(at + 2)}`
    return [`${text.slice(0, at)}${other}${text.slice(at + 1)}`, swapped, text.slice(0, at)]
  })
  expect(wrong.filter(each => each !== text && parseSecret(each))).toEqual([])
})

it.for(['', 'slw_', 'slw_p_', 'slw_x_abcdefghij_', ' ', '\n'])(
  'takes nothing for a secret with %j about it',
  odd => {
    const { text } = makeSecret('personal')
    expect(parseSecret(odd)).toBeUndefined()
    expect(parseSecret(`${odd || ' '}${text}`)).toBeUndefined()
    expect(parseSecret(`${text}${odd || ' '}`)).toBeUndefined()
  },
)

it('tells a secret from a password by its beginning', () => {
  expect(isSecretLike('slw_p_damaged')).toBe(true)
  expect(isSecretLike('hunter2')).toBe(false)
})

it('knows a secret by its own hash only', () => {
  const secret = makeSecret('robot')
  expect(isSecretOf(secret, makeSecret('robot').sha256)).toBe(false)
  for (const damaged of ['', 'zz', secret.sha256.slice(2), `${secret.sha256}00`])
    expect(isSecretOf(secret, damaged)).toBe(false)
})
