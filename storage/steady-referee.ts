import { OwnerLeft } from './owner-client.ts'
import type { Referee } from './referee.ts'

export interface Claim {
  readonly referee: Referee
  release(): Promise<void>
}

/**
 * A claim for a process that must not mind when the owner of the folder leaves: what that one has not looked at is asked
 * of the next owner, which this process itself may become. Locks are lost with the owner that gave them.
 */
export async function steadyClaim(claim: () => Promise<Claim>): Promise<Claim> {
  let current = claim()
  await current

  async function ask<T>(question: (referee: Referee) => Promise<T>): Promise<T> {
    for (;;) {
      const asked = current
      try {
        return await question((await asked).referee)
      } catch (error) {
        if (!(error instanceof OwnerLeft)) throw error
        if (current === asked) current = claim()
      }
    }
  }

  return {
    referee: {
      replaceIf: (...args) => ask(referee => referee.replaceIf(...args)),
      removeIf: (...args) => ask(referee => referee.removeIf(...args)),
      lock: name => ask(referee => referee.lock(name)),
      close: async () => (await current).referee.close(),
    },
    release: async () => (await current).release(),
  }
}
