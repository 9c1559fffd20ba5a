import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

export interface TestCertificate {
  readonly key: string
  readonly cert: string
}

/** A certificate for this machine that nobody but itself has signed; undefined without the openssl command. */
export async function selfSigned(): Promise<TestCertificate | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-certificate-'))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const words =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost ' +
    '-addext subjectAltName=DNS:localhost,IP:127.0.0.1'
  try {
    await promisify(execFile)('openssl', [...words.split(' '), '-keyout', key, '-out', cert])
    return { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') }
  } catch {
    return undefined
  } finally {
    await rm(folder, { recursive: true })
  }
}
