import { type Place, storeOf } from '../storage/place.ts'

/** After this time whoever waits wants to know for what. */
const patienceMs = 5_000

/** Says once for which store a command waits, where that takes long, beside what it prints. */
export async function waitedFor<T>(place: Place, task: () => Promise<T>): Promise<T> {
  const tell = () => process.stderr.write(`waiting for the store at ${storeOf(place)}\n`)
  const timer = setTimeout(tell, patienceMs)
  try {
    return await task()
  } finally {
    clearTimeout(timer)
  }
}
