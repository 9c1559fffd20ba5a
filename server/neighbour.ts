/** Who it is that listens where this server would. */
import type { ListenAddress } from './addresses.ts'
import { https, request as requestPlain } from './node-http.ts'

/** As long as a server that is well may take. */
const patienceMs = 2_000

/** Whether a registry like this one answers there; it does not say which. */
export function isRegistry(address: ListenAddress, hasTls: boolean): Promise<boolean> {
  const at =
    address.kind === 'unix'
      ? { socketPath: address.path }
      : { host: reachable(address.host), port: address.port }
  const options = { ...at, path: '/healthz', agent: false, signal: AbortSignal.timeout(patienceMs) }
  return new Promise(resolve => {
    const request =
      hasTls && address.kind === 'tcp'
        ? // Nothing is told to it, and nothing that it says is believed but that it is there.
          https().request({ ...options, rejectUnauthorized: false })
        : requestPlain(options)
    request.once('error', () => resolve(false))
    request.once('response', ({ statusCode, headers }) => {
      request.destroy()
      resolve(statusCode === 200 && headers['docker-distribution-api-version'] !== undefined)
    })
    request.end()
  })
}

/** Who listens to every address listens to this one. */
const reachable = (host: string) => (['', '0.0.0.0', '::'].includes(host) ? 'localhost' : host)
