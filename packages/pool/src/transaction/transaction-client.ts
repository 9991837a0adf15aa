/** What the function of `pool.transaction()` is given: the connection's own client, for as long as the transaction lasts. */

import { OptionError, TransactionUseError } from '@thaw/core'
import { refusesOnce } from '../connection/once-refused.ts'
import { nextTick } from '../driver/next-tick.ts'
import { isSubmittable, type PeerClient } from '../driver/peer.ts'
import type { Attempt } from './attempt.ts'
import { ownView } from './own-view.ts'
import { checkNoGenerator } from './rules.ts'
import { failSubmittable, type Submittable } from './submittable-in-line.ts'

/** A client, and transactions inside of its own. */
export type TransactionClient = PeerClient & {
  transaction<Result>(work: (client: TransactionClient) => Promise<Result> | Result): Promise<Result>
}

type Callback = (error: Error | null, result?: unknown) => void

/** One life of the client: a transaction, or a savepoint in it. */
export class Session {
  readonly client: TransactionClient
  readonly #attempt: Attempt
  /** The session that this one is a part of. */
  readonly #whole: Session | undefined
  readonly #unawaited = new Set<Promise<unknown>>()
  #isOver = false
  /** A part of it is open: what is sent now would be undone with that part, if it fails. */
  #hasOpenPart = false

  constructor(attempt: Attempt, whole?: Session) {
    this.#attempt = attempt
    this.#whole = whole
    const own: Readonly<Record<PropertyKey, unknown>> = {
      query: (...args: unknown[]) => this.#query(args),
      transaction: (work: (client: TransactionClient) => unknown) => this.#nested(work),
      // Libraries release the client that they were given. This one is released by the pool.
      release: () => {},
      connect: () => Promise.reject(refused('is connected already. Call query() on it')),
      end: () => Promise.reject(refused('belongs to the pool, which ends it')),
    }
    this.client = ownView(attempt.client, own, whole?.client) as TransactionClient
  }

  /** A part is over with the whole: what it sent then would be stored by itself. */
  get isOver(): boolean {
    return this.#isOver || this.#whole?.isOver === true
  }

  /** Its function has ended. Returns how many statements were not awaited. */
  close(reason?: Error): number {
    this.#isOver = true
    if (!this.#whole) this.#attempt.close(reason)
    // Their failure would be an unhandled rejection, which ends the process.
    for (const each of this.#unawaited) each.catch(() => {})
    return this.#unawaited.size
  }

  #query([config, second, third]: unknown[]): unknown {
    const callback = (typeof second === 'function' ? second : third) as Callback | undefined
    const values = typeof second === 'function' ? undefined : second
    const refusal = this.#whyNot(config)
    if (refusal) this.#attempt.noteMisuse(refusal)
    if (refusal) return isSubmittable(config) ? failSubmittable(config as Submittable, refusal) : answer(Promise.reject(refusal), callback)
    if (isSubmittable(config)) return this.#submit(config as Submittable, callback ?? values)
    const done = this.#attempt.run(config, values)
    this.#unawaited.add(done)
    const settled = () => void this.#unawaited.delete(done)
    done.then(settled, settled)
    return answer(done, callback)
  }

  #submit(query: Submittable & object, callback: unknown): unknown {
    try {
      return this.#attempt.submit(query, callback)
    } catch (refusal) {
      return failSubmittable(query, refusal as Error)
    }
  }

  #whyNot(config: unknown): Error | undefined {
    const misused = this.#misuse()
    if (misused) return misused
    if (config === null || config === undefined) return new TypeError('Client was passed a null or undefined query')
    // A stream, or a cursor, has a method called "once".
    return typeof config === 'object' && !isSubmittable(config) ? refusesOnce(config) : undefined
  }

  #misuse(): Error | undefined {
    if (this.isOver) return this.#attempt.afterItsEnd
    return this.#hasOpenPart ? new TransactionUseError({ message: PART_IS_OPEN }) : undefined
  }

  /** A part that may fail without the rest: a savepoint. */
  async #nested<Result>(work: (client: TransactionClient) => Promise<Result> | Result): Promise<Result> {
    const misused = this.#misuse()
    if (misused) throw this.#attempt.noteMisuse(misused)
    if (typeof work !== 'function')
      throw this.#attempt.noteMisuse(
        new OptionError({
          option: 'fn',
          allowed: 'a function',
          message: 'client.transaction() takes a function: client.transaction(async (inner) => { … }).',
        }),
      )
    try {
      checkNoGenerator(work, 'client.transaction')
    } catch (refusal) {
      throw this.#attempt.noteMisuse(refusal as Error)
    }
    const name = `thaw_${nextName++ % LAST_NAME}`
    this.#hasOpenPart = true
    const nested = this.#savepoint(name, work)
    this.#unawaited.add(nested)
    const settled = () => {
      this.#hasOpenPart = false
      this.#unawaited.delete(nested)
    }
    nested.then(settled, settled)
    return nested
  }

  async #savepoint<Result>(name: string, work: (client: TransactionClient) => Promise<Result> | Result): Promise<Result> {
    await this.#attempt.control(`SAVEPOINT ${name}`)
    const session = new Session(this.#attempt, this)
    try {
      const result = await work(session.client)
      if (session.close() > 0) throw this.#attempt.noteMisuse(new TransactionUseError({ message: UNAWAITED }))
      if (await this.#attempt.isLeftOpen()) throw this.#attempt.noteMisuse(new TransactionUseError({ message: LEFT_OPEN }))
      if (this.isOver) throw this.#attempt.noteMisuse(this.#attempt.afterItsEnd)
      await this.#attempt.control(`RELEASE SAVEPOINT ${name}`)
      return result
    } catch (error) {
      session.close()
      // If it cannot be undone, nor can the rest be stored: the transaction will say so.
      if (!this.#attempt.isBroken && (await this.#attempt.isQuiet()) && !this.isOver)
        await this.#attempt.control(`ROLLBACK TO SAVEPOINT ${name}`).then(
          () => this.#attempt.forgive(),
          () => {},
        )
      throw error
    }
  }
}

let nextName = 1
const LAST_NAME = 1_000_000

function answer(done: Promise<unknown>, callback: Callback | undefined): unknown {
  if (!callback) return done
  // What it throws is uncaught, as with node-postgres, and no rejection of ours.
  done.then(
    (result) => nextTick(() => callback(null, result)),
    (error: Error) => nextTick(() => callback(error)),
  )
  return undefined
}

function refused(why: string): TransactionUseError {
  return new TransactionUseError({ message: `The client of pool.transaction() ${why}.` })
}

export const UNAWAITED =
  'The function of pool.transaction() ended before its statements did, so nothing was stored. Await each client.query() (or return its promise), and each client.transaction().'
export const LEFT_OPEN =
  'The function of pool.transaction() ended while a cursor or a stream of it was open, so nothing was stored. Read it to its end, or await its close().'
const PART_IS_OPEN =
  'The client of pool.transaction() was used while a part of its transaction, begun by client.transaction(), was open. It was not sent, since it would be undone with that part, and nothing of the transaction is stored. Inside of the part use the client that its function is given; otherwise await client.transaction() first.'
