/** Certificates (RFC 5280) in DER, which Node can read but not write. */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'

export interface TestCertificate {
  readonly key: string
  readonly cert: string
}

const dayMs = 86_400_000

/** A certificate for this machine that nobody but itself has signed, good for a day. */
export function selfSigned(): TestCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = sequence(set(sequence(oid.commonName, der(0x0c, 'localhost'))))
  const statement = sequence(
    der(0xa0, integer(2)),
    // The leading byte keeps it positive.
    integer(0x01, ...randomBytes(16)),
    sequence(oid.ecdsaWithSha256),
    name,
    sequence(time(Date.now()), time(Date.now() + dayMs)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(
      0xa3,
      sequence(extension(oid.subjectAltName, alternativeNames), extension(oid.basicConstraints, anyCa)),
    ),
  )
  const signature = der(0x03, 0, sign('sha256', statement, privateKey))
  const certificate = sequence(statement, sequence(oid.ecdsaWithSha256), signature)
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${certificate.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`,
  }
}

type Part = Uint8Array | string | number

/** What is tagged, with its length before it. */
function der(tag: number, ...parts: readonly Part[]): Buffer {
  const content = Buffer.concat(
    parts.map(part => (typeof part === 'number' ? Buffer.of(part) : Buffer.from(part))),
  )
  const { length } = content
  if (length < 0x80) return Buffer.from([tag, length, ...content])
  const long = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.from([tag, ...long, ...content])
}

const sequence = (...parts: readonly Part[]) => der(0x30, ...parts)
const set = (...parts: readonly Part[]) => der(0x31, ...parts)
const integer = (...bytes: readonly number[]) => der(0x02, ...bytes)
const time = (ms: number) => der(0x17, `${new Date(ms).toISOString().replace(/^..|[-:T]|\..*$/g, '')}Z`)
const extension = (of: Part, value: Part) => sequence(of, der(0x04, value))

const oid = {
  commonName: der(0x06, 0x55, 0x04, 0x03),
  subjectAltName: der(0x06, 0x55, 0x1d, 0x11),
  basicConstraints: der(0x06, 0x55, 0x1d, 0x13),
  ecdsaWithSha256: der(0x06, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02),
}
/** DNS:localhost, IP:127.0.0.1. */
const alternativeNames = sequence(der(0x82, 'localhost'), der(0x87, 127, 0, 0, 1))
/** CA:TRUE, so that it can be trusted as its own signer. */
const anyCa = sequence(der(0x01, 0xff))
