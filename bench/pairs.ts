/** Loads that are compared with each other, timed in turns: what disturbs one of a pair often meets the other too. */
import { medianOf, rotated, type Sample } from './measure.ts'

type Times = readonly (() => Promise<Sample>)[]

/** Each load so many times. Of each the median, and the median of its ratios to the first load of the same round. */
export async function inPairs(times: Times, pairs: number): Promise<Sample[]> {
  const rounds: Sample[][] = []
  for (const round of Array(pairs).keys()) rounds.push(againstFirst(await inTurn(times, round)))
  return medians(rounds).map(sample => ({ ...sample, note: `median of ${pairs}` }))
}

/** Takes the samples one after the other, each round beginning with another; gives them in the order of the lines. */
export async function inTurn(times: Times, round: number): Promise<Sample[]> {
  const taken = new Map<number, Sample>()
  for (const index of rotated([...times.keys()], round)) {
    const sample = await times[index]?.()
    if (sample) taken.set(index, sample)
  }
  return [...taken].sort(([a], [b]) => a - b).map(([, sample]) => sample)
}

function againstFirst(samples: readonly Sample[]): Sample[] {
  const [first] = samples
  return samples.map(sample =>
    first === undefined || sample === first ? sample : { ...sample, pairRatio: sample.value / first.value },
  )
}

/** Of each line by itself. */
export function medians(rounds: readonly (readonly Sample[])[]): Sample[] {
  const [first = []] = rounds
  return first.map((_, line) => medianOf(rounds.flatMap(round => round[line] ?? [])))
}
