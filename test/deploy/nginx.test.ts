/** The registry behind nginx, as deploy/nginx.example.conf has it. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { basic, password, storedRules, storedUser } from '../helpers/access.ts'
import { describeClient } from '../helpers/clients.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { guarded } from '../helpers/guarded.ts'
import { type ExampleProxy, startExample } from '../helpers/nginx.ts'
import { load } from '../helpers/settings.ts'

const example = readFileSync(new URL('../../deploy/nginx.example.conf', import.meta.url), 'utf8')
const yaml = [...example.matchAll(/^# {3}(\w+: .+)$/gm)].map(([, line]) => line).join('\n')
const people = { users: [storedUser('bob')], rules: storedRules('pull ** anyone') }

/** Asks from an address of this machine for what only who has logged in is given. */
async function ask(nginx: ExampleProxy, from: string, shown: string, claimed?: string) {
  const asked = request({
    host: nginx.host,
    port: nginx.port,
    localAddress: from,
    ca: nginx.cert,
    servername: 'localhost',
    path: '/v2/',
    headers: { Authorization: basic('bob', shown), ...(claimed && { 'X-Forwarded-For': claimed }) },
  })
  asked.end()
  const [answer]: [IncomingMessage] = await once(asked, 'response').then(([response]) => [response])
  answer.resume()
  return answer.statusCode
}

describeClient(['nginx'], () => {
  it.for(['TCP', 'a unix socket'])('tells apart the clients of nginx, over %s', async way => {
    const { settings } = load({ yaml })
    expect(settings).toMatchObject({ url: 'https://registry.example', trustedProxies: ['127.0.0.1'] })
    const { url, trustedProxies } = settings
    const path = join(await temporaryFolder(), 's')
    await using registry = await (way === 'TCP'
      ? guarded(people, { settings: { ...(url && { url }), trustedProxies } })
      : guarded(people, {
          settings: { ...(url && { url }), trustedProxies: ['unix'] },
          listen: `unix:${path}`,
        }))
    const upstream = way === 'TCP' ? registry.address : `http://unix:${path}`
    await using nginx = await startExample(example, upstream)
    const guesses = Array.from({ length: 11 }, (_, at) =>
      ask(nginx, '127.0.0.2', `guess ${at}`, `192.0.2.${at}`),
    )
    expect(await Promise.all(guesses)).toContain(429)
    expect(await ask(nginx, '127.0.0.2', 'another', '127.0.1.3, 127.0.0.1')).toBe(429)
    // The next network: within one of them, guesses at one name are counted together.
    expect(await ask(nginx, '127.0.1.3', 'another')).toBe(401)
    expect(await ask(nginx, '127.0.1.3', password)).toBe(200)
    const seen = registry.observations.flatMap(each => (each.event === 'request' ? [each.from] : []))
    expect(new Set(seen)).toEqual(new Set(['127.0.0.2', '127.0.1.3']))
  })
})
