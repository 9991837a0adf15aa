/**
 * A batch that is sent as one request, over HTTP: of its session nothing is known, and nothing can be asked of it. Where the table of keys is there, one that writes is put under a key of its own,
 * and the table is asked by the same way, so that it is the same table whatever the pool's connections have set.
 */

import {
  BUDGET_TOKENS,
  backoffMillis,
  type Clock,
  causesOf,
  codeOf,
  createStatementCache,
  earn,
  OutcomeUnknownError,
  type RetryBudget,
  spend,
} from '@thaw/core'
import { interruptedBefore, isInterruption } from '../connection/interruption.ts'
import { asGiven } from './as-given.ts'
import { isRefusedForGood, RAW } from './backend.ts'
import { textOf } from './config.ts'
import type { FlightStatement } from './flight.ts'
import { bareResult, Keeper, type KeptRows, keptRowsOf, type Refusal, refusalOf } from './kept-result.ts'
import { FORGET, KEY_TABLE, keyTrouble, NOT_TAKEN } from './key-table.ts'
import {
  askUntil,
  bury,
  claimOf,
  FORGET_SHARE,
  type FoundRow,
  fingerprintOfCall,
  foundRowOf,
  MOST_SENDS,
  QUESTION_MILLIS,
} from './keyed.ts'
import { notStored, unknownKey } from './keyed-errors.ts'
import { keyNow, OWN_KEYS_REST_MILLIS } from './own-key.ts'
import { CONFIRM } from './replication.ts'
import { type BatchOptions, checkBatch } from './rules.ts'
import { pause } from './settle.ts'

/** How requests are sent. */
export interface Requests {
  readonly clock: Clock
  /** Where they go, for people. */
  where(): string
  /** One transaction. Rejects with an `OutcomeUnknownError` where it may have been stored. */
  send(configs: readonly unknown[], signal: AbortSignal | undefined): Promise<unknown[]>
  /** Reads what was kept as the statements' caller reads it. */
  repeat(configs: readonly unknown[], kept: KeptRows, signal: AbortSignal | undefined): Promise<unknown[]>
}

/** What was lost, for `pool.outcome()`. */
interface LostRequest {
  readonly key: string
  readonly fingerprint: string
  readonly where: string
  readonly cause: Error
}

const ASK_TABLE = { text: `SELECT (to_regclass('${KEY_TABLE}') IS NOT NULL)::text AS keys`, types: RAW }
/** PostgreSQL's read_only_sql_transaction, lock_not_available, insufficient_privilege. */
const READ_ONLY = '25006'
const NO_LOCK = '55P03'
const NO_RIGHT = '42501'

/** The batches of one pool. */
export class RequestBatches {
  readonly #requests: Requests
  readonly #classify = createStatementCache()
  readonly #keeper = new Keeper()
  readonly #unknowns = new WeakMap<object, LostRequest>()
  /** Undefined: not known yet. The first batch that writes asks, in its own request. */
  #hasKeyTable: boolean | undefined
  /** As of a pool's own batches, see `own-key.ts`. */
  #restsUntil: number | undefined
  #budget: RetryBudget = BUDGET_TOKENS

  constructor(requests: Requests) {
    this.#requests = requests
  }

  /** @throws {OptionError} as any batch of a pool, before anything is sent. */
  async send(given: readonly unknown[], options: BatchOptions): Promise<unknown[]> {
    checkBatch(given, options, this.#classify)
    const { once, signal } = options
    const statements = given.map((config) => asGiven(config, undefined))
    const isRead = () => statements.every(({ config }) => this.#classify(textOf(config) ?? '').kind === 'read')
    if (once === false || this.#hasKeyTable === false || this.#isResting || isRead()) return this.#plain(statements, signal)
    if (this.#hasKeyTable) return this.#keyed(statements, signal)
    const results = await this.#requests.send([...configsOf(statements), ASK_TABLE], signal)
    const { rows } = results.pop() as { rows: readonly object[] }
    // A row may come as an array.
    this.#hasKeyTable = Object.values(rows[0] ?? {})[0] === 'true'
    return results
  }

  /** The table has been made by this pool. */
  noteMade(): void {
    this.#hasKeyTable = true
    this.#restsUntil = undefined
    this.#keeper.forget()
  }

  /** It may have been made by a migration since this pool has looked. */
  lookAgain(): void {
    this.#restsUntil = undefined
    if (this.#hasKeyTable === false) this.#hasKeyTable = undefined
  }

  /** What became of the batch that the error was about. Undefined: it was about none of these. */
  outcome(error: unknown): Promise<'executed' | 'not-executed'> | undefined {
    const lost = causesOf(error)
      .map((each) => (typeof each === 'object' && each !== null ? this.#unknowns.get(each) : undefined))
      .find((found) => found !== undefined)
    return lost && this.#ask(lost).then(({ state }) => (state === 'done' ? 'executed' : 'not-executed'))
  }

  get #isResting(): boolean {
    return this.#restsUntil !== undefined && this.#requests.clock.mono() < this.#restsUntil
  }

  #plain(statements: readonly FlightStatement[], signal: AbortSignal | undefined): Promise<unknown[]> {
    return this.#requests.send(configsOf(statements), signal)
  }

  async #keyed(statements: readonly FlightStatement[], signal: AbortSignal | undefined): Promise<unknown[]> {
    const { clock } = this.#requests
    const key = keyNow(clock)
    const fingerprint = fingerprintOfCall(statements)
    let row: FoundRow | undefined
    let refusals: readonly Refusal[] = []
    for (let sends = 1; ; sends++) {
      if (row?.state === 'done') return this.#repeated(statements, row, signal)
      const over = interruptedBefore({ timeoutMillis: 0, signal })
      if (over) throw over
      const sent = refusals.length > 0 ? statements : this.#keeper.keeping(statements, key)
      const forgets = this.#keeper.mayForget && clock.random() < FORGET_SHARE
      const all = [claimOf(key, fingerprint, row?.generation), ...sent, ...(forgets ? [{ config: { text: FORGET, types: RAW } }] : [])]
      try {
        const results = await this.#requests.send(configsOf(all), signal)
        this.#budget = earn(this.#budget)
        for (const refusal of refusals) this.#keeper.noteRefused(refusal)
        return results.slice(1, 1 + statements.length).map((result, at) => withTag(result, sent[at]?.tag))
      } catch (error) {
        if (error instanceof OutcomeUnknownError) {
          const lost = { key, fingerprint, where: this.#requests.where(), cause: error.cause as Error }
          row = await this.#ask(lost)
          if (row.state === 'done') continue
          const budget = spend(this.#budget)
          if (sends >= MOST_SENDS || !budget || isInterruption(lost.cause)) throw notStored(lost)
          this.#budget = budget
          await pause(clock, backoffMillis(sends - 1, Number.POSITIVE_INFINITY, clock.random()))
          continue
        }
        const failure = error as Error
        if (keyTrouble(failure) === 'taken' || (row && codeOf(failure) === NOT_TAKEN)) {
          // Something on the way has sent it twice.
          row = await this.#ask({ key, fingerprint, where: this.#requests.where(), cause: failure })
          if (row.state !== 'done') throw failure
          continue
        }
        if (isAboutTable(failure)) {
          // Whatever the server has against the row of its key is nothing that the batch has to do with.
          if (forgets && codeOf(failure) === NO_RIGHT) this.#keeper.noteMayNotForget()
          else if (isRefusedForGood(failure)) this.#restsUntil = clock.mono() + OWN_KEYS_REST_MILLIS
          return this.#plain(statements, signal)
        }
        const refused = refusals.length > 0 ? [] : sent.map((each, at) => refusalOf(each, statements[at], failure))
        refusals = refused.filter((refusal) => refusal !== undefined)
        // Its own error, in its own text.
        if (refusals.length === 0) throw failure
      }
    }
  }

  /** @throws {OutcomeUnknownError} where the table cannot be asked. */
  async #ask(lost: LostRequest): Promise<FoundRow> {
    const host = { clock: this.#requests.clock, isTurnedOut: () => false }
    const row = await askUntil(host, () => bury(lost, (text, values) => this.#rowBy(text, values)))
    if (row && !(row instanceof Error)) return row
    const unknown = unknownKey(lost, row)
    this.#unknowns.set(unknown, lost)
    throw unknown
  }

  /** What is stored is told only once the replicas have it: the request that confirms it fails otherwise, and all is asked again. */
  async #rowBy(text: string, values: readonly unknown[]): Promise<FoundRow | undefined> {
    const [answer] = await this.#requests.send([{ text, values, types: RAW, query_timeout: QUESTION_MILLIS }], undefined)
    const row = foundRowOf(answer)
    if (row?.state === 'done' && row.waits)
      await this.#requests.send([{ text: CONFIRM, types: RAW, query_timeout: QUESTION_MILLIS }], undefined)
    return row
  }

  /** It is stored. What its rows mean is told by the server, over a connection: where there can be none they are not told. */
  async #repeated(statements: readonly FlightStatement[], { results }: FoundRow, signal: AbortSignal | undefined): Promise<unknown[]> {
    const kept = keptRowsOf(results)
    const bare = () => statements.map(({ config }) => bareResult(config))
    if (Object.keys(kept).length === 0) return bare()
    return this.#requests.repeat(configsOf(statements), kept, signal?.aborted ? undefined : signal).catch(bare)
  }
}

function configsOf(statements: readonly FlightStatement[]): readonly unknown[] {
  return statements.map(({ config }) => config)
}

/** Where a statement was sent inside of another one. */
function withTag(result: unknown, tag: string | undefined): unknown {
  return tag === undefined ? result : Object.assign(result as object, { command: tag.split(' ')[0] })
}

/** A request's answer does not say which of its statements has failed; an error that a lock was not to be had, not even which table it was of. */
function isAboutTable(error: Error): boolean {
  const { table, message } = error as { readonly table?: string; readonly message: string }
  return table === KEY_TABLE || message.includes(KEY_TABLE) || [READ_ONLY, NO_LOCK].includes(codeOf(error) ?? '')
}
