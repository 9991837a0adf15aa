/** What users see of transactions, over either driver. */

import type { Outcome } from '@thaw/core'
import type { QueryOptions } from '../options/options.ts'
import type { TransactionOptions } from './rules.ts'

/** What `pool.query()` takes beside {@link QueryOptions}. At most one of the two. */
export interface OnceOptions {
  /**
   * Apply the statement exactly once, although its connection may be lost: it is put into a transaction of its own, for one more round trip, and where the answer to COMMIT is lost
   * the server is asked. Default: false. Where the server cannot tell: `OutcomeUnknownError`.
   */
  readonly once?: boolean | undefined
  /**
   * Apply the statement once under this key, by any process, and however often it is sent. No more round trips while nothing fails; holds across crashes and failovers. Who comes second gets the rows of the first. Needs the table that
   * {@link Transactions.createIdempotencyTable} makes. A text of 1 to 255 characters; with a UUIDv7, which carries its time, the table cleans itself. Default: none, as with `false`. `undefined` is refused, because the value that was meant to be the key is missing: leave the property out.
   */
  readonly idempotencyKey?: string | false
}

/** Whether a result is that of the statement, or of one that was stored before under its key. */
export interface Repeated {
  /**
   * True: under this key it had been stored before the try that was answered: by another caller, or by this very call, whose first try lost its answer. So it is no reason to leave
   * out what is to follow the write: store that in the same batch. `rows` are those of the first answer. Where they were not kept `rowCount` is null and `rows` empty: a statement without
   * RETURNING, more than 1,000 rows of one statement or 64 kB of text of all, a batch's statements behind the first hundred that return rows, or a table that has got other columns since.
   */
  readonly repeated?: boolean
}

/** One statement of a batch. */
export interface BatchStatement extends Pick<QueryOptions, 'query_timeout'> {
  readonly text: string
  readonly values?: readonly unknown[] | undefined
  readonly name?: string | undefined
}

/** What a pool has for writes that must be applied exactly once, beside `batch`, whose results are the driver's. `Client` is the driver's. */
export interface Transactions<Client> {
  /**
   * Runs `work` in a transaction: committed when it resolves, rolled back when it throws. BEGIN travels with the first statement, so that n statements take n + 1 round trips. It is run
   * again, up to `retries` times, when its connection was lost before COMMIT, and when the server chose it to give way (40001, 40P01, looked for through `cause`): what it does
   * outside of the database it may do several times. Where the answer to COMMIT is lost the server is asked what became of it.
   *
   * The client is that of the connection, and `client.transaction(fn)` is a savepoint. It serves no statement once `work` has ended.
   *
   * @throws {OutcomeUnknownError} when the answer to COMMIT was lost and the server cannot tell what became of it. See {@link outcome}.
   * @throws {ConnectionLostError} when nothing was stored, and running it again did not help either.
   * @throws {TransactionUseError} when a statement was not awaited, or the client was used afterwards, or BEGIN or COMMIT was sent by hand.
   * @throws {OptionError} when an option is absurd. And whatever `work` throws.
   */
  transaction<Value>(work: (client: TransactionOf<Client>) => Promise<Value> | Value, options?: TransactionOptions): Promise<Value>
  /**
   * Asks what became of the write that the error was about. It may be asked later, and as often as one likes; a failed one is told as `not-executed` only when it can never be stored.
   *
   * @throws {OutcomeUnknownError} if it is not known, or not yet: its `evidence` says what is known, and what would settle it.
   */
  outcome(error: unknown): Promise<Exclude<Outcome, 'unknown'>>
  /** Creates the table of idempotency keys, if it is not there. For migrations there is its SQL, `IDEMPOTENCY_SQL`. */
  createIdempotencyTable(): Promise<void>
}

/** A client inside of `pool.transaction()`. */
export type TransactionOf<Client> = Client & {
  /** A part that may fail without the rest: a savepoint, which is kept when `work` resolves, and undone when it throws. */
  transaction<Value>(work: (client: TransactionOf<Client>) => Promise<Value> | Value): Promise<Value>
}
