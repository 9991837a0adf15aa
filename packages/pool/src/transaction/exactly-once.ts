/** `pool.transaction()`, `pool.batch()`, `pool.outcome()`, and `pool.query()` with `once` or a key: what applies a write once, and knows what became of it. */

import { causesOf, OptionError, type Outcome } from '@thaw/core'
import { lossOf } from '../connection/lost-statement.ts'
import { hasKey } from '../connection/once-refused.ts'
import { type Memory, noteKeyTable } from '../connection/pool-context.ts'
import { asGiven } from './as-given.ts'
import { batchOnWire } from './batch.ts'
import { KEPT, type KeptRows, repeatResults } from './kept-result.ts'
import { IDEMPOTENCY_SQL } from './key-table.ts'
import { askKey, type FoundRow, type LostKey, notReplicated, outcomeOf, runKeyed } from './keyed.ts'
import { unknownKey } from './keyed-errors.ts'
import { batchUnderOwnKey } from './own-key.ts'
import {
  type BatchOptions,
  checkBatch,
  checkKey,
  checkOnceOption,
  checkOne,
  checkSingle,
  checkTransaction,
  type TransactionOptions,
} from './rules.ts'
import { type LostCommit, settle, toldOf } from './settle.ts'
import { checkTimeLeft, runTransaction, type TransactionHost, type Work } from './transaction.ts'
import type { TransactionClient } from './transaction-client.ts'
import { untilAborted } from './until-aborted.ts'

/** What an `OutcomeUnknownError` was about. */
interface Unknown {
  /** What `pool.outcome()` was told, once it was. Another crash cannot take that back. */
  known?: Exclude<Outcome, 'unknown'>
  readonly commit?: LostCommit
  readonly key?: LostKey
  /** Of the pool that lost it: another one may lead to another database. On Workers it outlives the pools of the requests. */
  readonly memory: Memory
}

/** Kept beside the error, so that it can be asked again. Not on it: it may be logged. */
const unknowns = new WeakMap<object, Unknown>()

export function noteUnknown(error: Error, unknown: Unknown): void {
  unknowns.set(error, unknown)
}

function unknownOf(error: unknown, memory: Memory): Unknown | undefined {
  const found = causesOf(error).map((each) => (typeof each === 'object' && each !== null ? unknowns.get(each) : undefined))
  return found.find((unknown) => unknown?.memory === memory)
}

interface OnceConfig {
  readonly once?: unknown
  readonly idempotencyKey?: unknown
  readonly signal?: AbortSignal
}

/** Has the statement one of our two promises? Asked of each statement that is an object. */
export function wantsOnce(config: unknown): config is OnceConfig & object {
  if (typeof config !== 'object' || config === null) return false
  const { once, on } = config as OnceConfig & { readonly on?: unknown }
  // A stream, and pg's own Query, have a method of this name.
  const isMethod = typeof once === 'function' && typeof on === 'function'
  return (once !== undefined && once !== false && !isMethod) || hasKey(config)
}

export class ExactlyOnce {
  readonly #host: TransactionHost

  constructor(host: TransactionHost) {
    this.#host = host
  }

  async transaction<Result>(
    work: (client: TransactionClient) => Promise<Result> | Result,
    options: TransactionOptions = {},
  ): Promise<Result> {
    checkTransaction(work, options)
    checkTimeLeft(options.retries)
    const { signal } = options
    return this.#held(() => runTransaction(this.#host, (client) => untilAborted(this.#host.clock, signal, () => work(client)), options))
  }

  async batch(statements: readonly unknown[], options: BatchOptions = {}): Promise<unknown[]> {
    checkBatch(statements, options, this.#host.classify)
    const configs = statements.map((config) => asGiven(config, undefined))
    const { idempotencyKey, once, signal } = options
    const kept = (options as { readonly [KEPT]?: KeptRows })[KEPT]
    return this.#held(() => {
      if (kept) return repeatResults(this.#host, configs, kept, signal)
      if (typeof idempotencyKey === 'string') return runKeyed(this.#host, { key: idempotencyKey, statements: configs, signal })
      if (once) return runTransaction(this.#host, (_client, attempt) => attempt.runAll(configs), { signal })
      return once === false ? batchOnWire(this.#host, configs, signal) : batchUnderOwnKey(this.#host, configs, signal)
    })
  }

  /** @throws {OptionError} before anything is sent, if the statement cannot be applied once. */
  async query(config: OnceConfig & object, values: unknown): Promise<unknown> {
    const { once, idempotencyKey, signal } = config
    const isKeyed = hasKey(config)
    const option = isKeyed ? 'idempotencyKey' : 'once'
    checkOnceOption(once)
    checkOne(config)
    checkSingle(config, `A statement with "${option}"`, option, this.#host.classify)
    const statement = asGiven(without(config), values)
    if (!isKeyed) {
      const work: Work<unknown> = (_client, attempt) => attempt.run(statement.config, statement.values)
      return this.#held(() => runTransaction(this.#host, work, signal ? { signal } : {}))
    }
    const key = checkKey(idempotencyKey)
    const [result] = await this.#held(() => runKeyed(this.#host, { key, statements: [statement], signal }))
    return result
  }

  /** The end of the pool waits until it is known what became of it. */
  async #held<Result>(work: () => Promise<Result>): Promise<Result> {
    const over = this.#host.begin()
    try {
      return await work()
    } finally {
      over()
    }
  }

  /** What became of what the error was about. */
  async outcome(error: unknown): Promise<Exclude<Outcome, 'unknown'>> {
    return this.#held(() => this.#outcome(error))
  }

  async #outcome(error: unknown): Promise<Exclude<Outcome, 'unknown'>> {
    const { memory } = this.#host
    const unknown = unknownOf(error, memory)
    if (!unknown) return outcomeTold(error)
    unknown.known ??= await this.#ask(unknown, error)
    return unknown.known
  }

  async #ask({ commit, key, memory }: Unknown, about: unknown): Promise<Exclude<Outcome, 'unknown'>> {
    if (commit) {
      const { outcome, reason } = await settle(this.#host, commit)
      if (outcome !== 'unknown' && reason !== 'unreplicated') return outcome
      const still = toldOf(commit, reason)
      noteUnknown(still, { commit, memory })
      throw still
    }
    if (key) {
      const told = await askKey(this.#host, key)
      const outcome = outcomeOf(told, key.fingerprint)
      if (outcome === 'executed' && (told as FoundRow).isUnreplicated) throw notReplicated(this.#host, key, true)
      if (outcome) return outcome
      const still = unknownKey(key, told)
      noteUnknown(still, { key, memory })
      throw still
    }
    return outcomeTold(about)
  }

  async createIdempotencyTable(): Promise<void> {
    const client = await this.#host.connect()
    let failure: Error | undefined
    try {
      await client.query(IDEMPOTENCY_SQL)
      this.#host.keeper.forget()
      noteKeyTable(this.#host.memory)
    } catch (error) {
      failure = error as Error
      throw error
    } finally {
      client.release(failure && lossOf(failure) ? failure : undefined)
    }
  }
}

/** What an error that was not kept says of itself. */
function outcomeTold(error: unknown): Exclude<Outcome, 'unknown'> {
  for (const each of causesOf(error)) {
    const { outcome } = each as { readonly outcome?: Outcome }
    if (outcome === 'executed' || outcome === 'not-executed') return outcome
    if (each instanceof Error && each.name === 'OutcomeUnknownError') throw each
  }
  throw new OptionError({
    option: 'error',
    allowed: 'an error that says that a connection was lost',
    message:
      'pool.outcome() was given an error that says nothing of a lost connection. An answer of the server (error.severity) means that its statement was not executed; any other error is your own.',
  })
}

/** The statement, without what is ours. As node-postgres copies it: text may come from a prototype, or from a getter. */
function without(config: object): object {
  const own = Object.getOwnPropertyDescriptors(config)
  const nothing = { value: undefined, configurable: true, enumerable: false, writable: true }
  return Object.create(Object.getPrototypeOf(config), {
    ...own,
    once: nothing,
    idempotencyKey: { ...nothing, value: false },
    signal: nothing,
  })
}
