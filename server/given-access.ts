/** What access control goes by in one process: made anew when the process is given other settings or files. */
import { workloadVerifier } from '../auth/workloads.ts'
import { accessOf, accessSettingsOf } from './access-settings.ts'
import { issuerKeys } from './issuer-keys.ts'
import type { Parts } from './main.ts'
import type { Given } from './worker.ts'

export function givenAccess(given: () => Given): Required<Pick<Parts, 'access' | 'workloads' | 'rates'>> {
  let latest: (ReturnType<typeof made> & { readonly of: Given }) | undefined
  const keys = issuerKeys({ access: () => current().configured, files: () => given().files })

  function made({ settings, files }: Given) {
    const configured = accessOf(settings)
    const { requestsPerMinute } = settings.limits
    const rate = requestsPerMinute && { perMinute: requestsPerMinute, burst: requestsPerMinute }
    return {
      configured,
      access: accessSettingsOf(settings, files.htpasswd),
      workloads: workloadVerifier({ workloads: [...configured.workloads.values()], keys, now: Date.now }),
      rates: rate ? { tokens: rate, manifests: rate, blobs: rate } : {},
    }
  }

  function current() {
    const of = given()
    if (latest?.of !== of) latest = { of, ...made(of) }
    return latest
  }

  return {
    access: () => current().access,
    workloads: () => current().workloads,
    rates: () => current().rates,
  }
}
