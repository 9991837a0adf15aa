/**
 * The pool's own statements, in front of what its callers send: in the same write, each ended by its own Sync. The server's replies are
 * never shown to pg, which does not know of them, nor to tracing tools.
 */

import { join, parseBindExecute, SYNC } from './extended-query.ts'

/** What the server replied: the one row, as text; or an error, after which everything is as it was. */
export interface OwnAnswer {
  readonly row?: readonly (string | null)[]
  readonly error?: Error
}

/** One that has been sent, and whose ReadyForQuery has not come. */
export class OwnStatement {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly #answered: (answer: OwnAnswer) => void
  #answer: OwnAnswer = {}
  #after: (() => void) | undefined

  /** `answered` is called once, unless the connection is lost first. */
  constructor(text: string, values: readonly (string | null)[], answered: (answer: OwnAnswer) => void = () => {}) {
    this.bytes = join(parseBindExecute(text, values), SYNC)
    this.#answered = answered
  }

  took(row: readonly unknown[]): void {
    this.#answer = { row: row.map((field) => (field === null || field === undefined ? null : String(field))) }
  }

  failed(error: Error): void {
    this.#answer = { error }
  }

  /** For one who waits until it is answered, whatever the answer. */
  afterwards(done: () => void): void {
    this.#after = done
  }

  end(): void {
    this.#answered(this.#answer)
    this.#after?.()
  }
}
