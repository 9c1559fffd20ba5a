/** What many clients asked of registers, and were told; for `unorderable` to judge. */
import { type Operation, type Step, unorderable } from './linearizable.ts'

/** How a request ended, as far as its client can tell. */
export interface Outcome {
  readonly calledMs: number
  readonly returnedMs: number
  /** How often it was sent on: a proxy may have asked one server after another. */
  readonly attempts: number
  readonly what: string
}

export interface History {
  /** It has happened; so may have what was tried before the last attempt. */
  happened(register: string, step: Step, outcome: Outcome): void
  /** The last attempt was answered otherwise than with `step`, which the ones before it may have done. */
  answered(register: string, step: Step, answer: Step, outcome: Outcome): void
  /** It may happen at any time, or never. */
  unknown(register: string, step: Step, outcome: Outcome): void
  /** The registers there are. */
  registers(): readonly string[]
  of(register: string): readonly Operation[]
  /** Why a register cannot have been one. */
  fault(register: string, more?: readonly Operation[]): string | undefined
}

export function recordHistory(): History {
  const histories = new Map<string, Operation[]>()

  function add(register: string, operation: Operation): void {
    const known = histories.get(register)
    if (known) known.push(operation)
    else histories.set(register, [operation])
  }

  function maybe(register: string, step: Step, { calledMs, what }: Outcome, times: number): void {
    for (let time = 0; time < times; time++)
      add(register, { step, calledMs, returnedMs: Number.POSITIVE_INFINITY, what })
  }

  const self: History = {
    happened: (register, step, outcome) => self.answered(register, step, step, outcome),
    answered(register, step, answer, outcome) {
      const { calledMs, returnedMs, attempts, what } = outcome
      add(register, { step: answer, calledMs, returnedMs, what })
      if (step.kind !== 'read') maybe(register, step, outcome, attempts - 1)
    },
    unknown(register, step, outcome) {
      if (step.kind !== 'read') maybe(register, step, outcome, Math.max(1, outcome.attempts))
    },
    registers: () => [...histories.keys()],
    of: register => histories.get(register) ?? [],
    fault: (register, more = []) => unorderable([...(histories.get(register) ?? []), ...more]),
  }
  return self
}
