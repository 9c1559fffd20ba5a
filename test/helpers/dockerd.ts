import type { Sandbox } from './sandbox.ts'

/** How `docker` in a sandbox finds the daemon in it. */
export const dockerHost = (sandbox: Sandbox): string => `unix://${sandbox.path('docker.sock')}`

/** A daemon of a sandbox's own, which touches no network; ready when this resolves. */
export function startDockerd(sandbox: Sandbox): Promise<AsyncDisposable> {
  const host = ['--host', dockerHost(sandbox)]
  const folders = ['data-root', 'exec-root', 'pidfile'].map(name => `--${name}=${sandbox.path(name)}`)
  const alone = ['--storage-driver=overlay2', '--bridge=none', '--iptables=false']
  const isReady = async () => (await sandbox.attempt('docker', [...host, 'version'])).status === 0
  return sandbox.start('dockerd', [...host, ...folders, ...alone], isReady)
}
