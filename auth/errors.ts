/** What can go wrong here, apart from RegistryErrors. Who asked decides which answer that becomes. */

/** A line of configuration that means nothing. `position` is that of the first character at fault, counted from 1. */
export class GrammarError extends Error {
  override readonly name = 'GrammarError'
  readonly position: number

  constructor(message: string, position = 1, options?: ErrorOptions) {
    super(message, options)
    this.position = position
  }
}

export type TokenFault =
  | 'malformed'
  | 'unknown-key'
  | 'signature'
  | 'claims'
  | 'expired'
  | 'early'
  | 'unmatched'

/** A token that proves nothing. The fault is for logs: whoever sent it learns only that it was not taken. */
export class InvalidToken extends Error {
  override readonly name = 'InvalidToken'
  readonly fault: TokenFault

  constructor(fault: TokenFault, options?: ErrorOptions) {
    super(`token was not accepted: ${fault}`, options)
    this.fault = fault
  }
}

/** So much costly work waits already that more of it is not begun: the secret was not looked at. */
export class Busy extends Error {
  override readonly name = 'Busy'

  constructor() {
    super('too many passwords are being verified; try again in a few seconds')
  }
}

/** A change of people, machines, rules or keys that is not made as things are. The message says what to do. */
export class ChangeRefused extends Error {
  override readonly name = 'ChangeRefused'
}
