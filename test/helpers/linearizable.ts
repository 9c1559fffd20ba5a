/** Whether what clients saw of a register can have happened one after another. */

/** What the register holds; undefined: nothing. */
export type Value = string | undefined

/** What an operation demands of the register, and leaves in it. */
export type Step =
  | { readonly kind: 'read'; readonly found: Value }
  | { readonly kind: 'write'; readonly to: Value; readonly onlyIf?: (now: Value) => boolean }
  /** Empties the register if it holds this. */
  | { readonly kind: 'drop'; readonly of: string }
  /** A condition that did not hold. */
  | { readonly kind: 'refused'; readonly onlyIf: (now: Value) => boolean }

/** An operation as its client knows it: somewhere between the two moments it happened, at one moment. */
export interface Operation {
  readonly step: Step
  readonly calledMs: number
  /** Infinity: nobody knows whether it has happened, or ever will. */
  readonly returnedMs: number
  /** What a reader of a failure is told. */
  readonly what?: string
}

/** After so many steps a history is too tangled to be judged. */
const mostSteps = 1_000_000

/**
 * Searches an order in which every operation lies between its call and its return and finds what it found (Wing and Gong),
 * never twice from the same operations done and the same value (Lowe). Undefined: there is one. Otherwise the longest
 * beginning of an order that could be found, and what could not follow it.
 */
export function unorderable(history: readonly Operation[]): string | undefined {
  const operations = history.toSorted((a, b) => a.calledMs - b.calledMs)
  const certain = operations.filter(({ returnedMs }) => returnedMs !== Number.POSITIVE_INFINITY).length
  const done = new Array<boolean>(operations.length).fill(false)
  const order: number[] = []
  const seen = new Set<string>()
  let best: readonly number[] = []
  let steps = 0

  /**
   * `before`: what the register held before the last step, if nobody knows whether that has happened. It may have happened
   * later as well, so it is looked at only for what could not come without it.
   */
  function search(value: Value, left: number, from: number, before?: { readonly value: Value }): boolean {
    if (left === 0) return true
    if (++steps > mostSteps) throw new Error(`a history of ${operations.length} operations is too tangled`)
    let first = from
    while (done[first]) first++
    if (isKnown(before ? `${value} after ${before.value}` : `${value}`, first)) return false
    if (order.length > best.length) best = [...order]
    // Whatever comes next was called before anything that is left returned.
    let bound = Number.POSITIVE_INFINITY
    for (let at = first; at < operations.length; at++) {
      const operation = operations[at]
      if (!operation || operation.calledMs > bound) break
      if (!done[at]) bound = Math.min(bound, operation.returnedMs)
    }
    for (let at = first; at < operations.length; at++) {
      const operation = operations[at]
      if (!operation || operation.calledMs > bound) break
      if (done[at]) continue
      const next = after(operation.step, value)
      if (!next || (before && after(operation.step, before.value))) continue
      done[at] = true
      order.push(at)
      const isCertain = operation.returnedMs !== Number.POSITIVE_INFINITY
      if (isCertain ? search(next.value, left - 1, first) : search(next.value, left, first, { value }))
        return true
      order.pop()
      done[at] = false
    }
    return false
  }

  function isKnown(state: string, first: number): boolean {
    let text = `${state} ${first}`
    for (let at = first; at < done.length; at++) if (done[at]) text += ` ${at}`
    if (seen.has(text)) return true
    seen.add(text)
    return false
  }

  if (search(undefined, certain, 0)) return undefined
  const said = (at: number) => {
    const { calledMs = 0, returnedMs = 0, step, what = '' } = operations[at] ?? {}
    return `${calledMs.toFixed(1)}-${returnedMs.toFixed(1)} ${step ? wordsOf(step) : ''} ${what}`.trimEnd()
  }
  const rest = operations.keys().filter(at => !best.includes(at))
  return `in order:\n${best.map(said).join('\n')}\nand not after that:\n${[...rest].map(said).join('\n')}`
}

/** What a register holds after a step; undefined where the step cannot have happened. */
function after(step: Step, now: Value): { readonly value: Value } | undefined {
  switch (step.kind) {
    case 'read':
      return step.found === now ? { value: now } : undefined
    case 'write':
      return !step.onlyIf || step.onlyIf(now) ? { value: step.to } : undefined
    case 'drop':
      return { value: now === step.of ? undefined : now }
    case 'refused':
      return step.onlyIf(now) ? undefined : { value: now }
  }
}

function wordsOf(step: Step): string {
  switch (step.kind) {
    case 'read':
      return `found ${step.found ?? 'nothing'}`
    case 'write':
      return `wrote ${step.to ?? 'nothing'}${step.onlyIf ? ' on a condition' : ''}`
    case 'drop':
      return `dropped ${step.of}`
    case 'refused':
      return 'was refused'
  }
}
