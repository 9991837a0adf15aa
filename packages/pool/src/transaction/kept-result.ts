/**
 * What the second caller of a key is answered: the rows of the first, which that caller's statement has kept beside the key, in the same statement. They are kept as PostgreSQL writes them, so that
 * the second caller reads them by its own types, as it reads an answer of the server.
 */

import { backoffMillis, columnsOfRow, rowSourceOf, spend } from '@thaw/core'
import type pg from 'pg'
import { emitRetried } from '../checkout/emit.ts'
import { isInterruption } from '../connection/interruption.ts'
import { lossOf } from '../connection/lost-statement.ts'
import type { PeerClient } from '../driver/peer.ts'
import { vitalsOf } from './backend.ts'
import { textOf } from './config.ts'
import { type FlightHost, type FlightStatement, fly } from './flight.ts'
import { KEY_TABLE, keepRows, namesOf } from './key-table.ts'
import { orRelease } from './or-release.ts'
import { pause, SETTLE_MILLIS, type SettleHost } from './settle.ts'

type Repeated = Pick<pg.QueryResult, 'command' | 'rowCount' | 'oid' | 'fields' | 'rows'> & { readonly repeated: true }

/** Of each statement, by its place: its rows, as texts, and by `namesOf` its columns' names. Those that are not there were not kept. */
export type KeptRows = Readonly<Record<string, readonly string[]>>

/** An option of a batch: it was stored before, by a request of its own, and these rows are to be read as its caller reads them. */
export const KEPT: unique symbol = Symbol('kept rows')

/** Longer texts are rarely sent twice. */
const LONGEST_REMEMBERED = 4_000
const MOST_REMEMBERED = 200
/** Under one key: each writes the key's row anew, and looks for it behind the versions that the ones before it have left. Above a hundred that takes longer than the statements do. */
const MOST_KEPT_STATEMENTS = 100
/** https://www.postgresql.org/docs/current/errcodes-appendix.html: undefined_column. */
const NO_COLUMN = '42703'
/** Class 42: it is not understood; class 0A: not supported there. */
const NOT_AS_PART = /^(?:42|0A)/
/** Classes 53 and 54, and XX000 of a text of more than a gigabyte: keeping rows takes room that sending them does not. */
const TOO_MUCH = /^(?:53|54|XX)/

/** What a pool has learned of what cannot be kept: texts that PostgreSQL does not take as part of another, a table of before, and a role that may not delete from it. */
export class Keeper {
  readonly #refused = new Set<string>()
  #keepsNothing = false
  /** Rows that have expired may be deleted. False: the role has no right to. */
  mayForget = true

  noteMayNotForget(): void {
    this.mayForget = false
  }

  /** The statements as they are sent under a key: where one returns rows, it keeps them. */
  keeping(statements: readonly FlightStatement[], key: string): readonly FlightStatement[] {
    if (this.#keepsNothing) return statements
    let left = MOST_KEPT_STATEMENTS
    return statements.map((statement, place) => {
      const text = left > 0 ? textOf(statement.config) : undefined
      const source = text === undefined || this.#refused.has(text) ? undefined : rowSourceOf(text)
      if (!source) return statement
      left--
      return { ...statement, config: withText(statement.config, keepRows(source, key, place)), tag: source.tag }
    })
  }

  /** As it is it has been executed, so what was refused was our part of it. */
  noteRefused({ text, code }: Refusal): void {
    if (code === NO_COLUMN) this.#keepsNothing = true
    // Another time its rows may be fewer.
    else if (TOO_MUCH.test(code ?? '')) return
    else if (text.length <= LONGEST_REMEMBERED && this.#refused.size < MOST_REMEMBERED) this.#refused.add(text)
  }

  /** The table has been made anew. */
  forget(): void {
    this.#keepsNothing = false
    this.mayForget = true
    this.#refused.clear()
  }
}

/** What the server said of a statement that keeps its rows. */
export interface Refusal {
  readonly text: string
  readonly code: string | undefined
}

/** Is it about what we have made of the text? Then it is sent as it is, so that errors in it are those of the text as its author wrote it. */
export function refusalOf(sent: FlightStatement | undefined, original: FlightStatement | undefined, error: Error): Refusal | undefined {
  if (sent === original) return undefined
  const { code = '', position, table } = error as { code?: string; position?: string; table?: string }
  // Whatever points into the text would point into ours.
  const isOurs = position || table === KEY_TABLE || NOT_AS_PART.test(code) || TOO_MUCH.test(code)
  return isOurs ? { text: textOf(original?.config) ?? '', code } : undefined
}

function withText(config: unknown, text: string): unknown {
  if (typeof config === 'string') return text
  const own = Object.getOwnPropertyDescriptors(config as object)
  const value = (it: unknown) => ({ value: it, configurable: true, enumerable: true, writable: true })
  // A name belongs to one text.
  return Object.create(Object.getPrototypeOf(config), { ...own, text: value(text), name: value(undefined) })
}

export function keptRowsOf(results: string | null): KeptRows {
  return (results === null ? {} : JSON.parse(results)) as KeptRows
}

type RepeatHost = FlightHost &
  Pick<SettleHost, 'borrow' | 'clock'> & { connect(signal?: AbortSignal): Promise<PeerClient>; isEnding(): boolean }

/** Readings after which it gives up. */
const MOST_READINGS = 4

/**
 * Answers as the first time, but for `repeated`. Each is a flight of its own, in which nothing is executed: the server only says what the columns are. So what is lost is asked again, as a read is; a caller
 * who is told that there are no rows would not ask another time.
 *
 * @param wasLost the call itself has sent them, and its answer was lost: an error would be taken for the fate of the statements.
 */
export async function repeatResults(
  host: RepeatHost,
  statements: readonly FlightStatement[],
  kept: KeptRows,
  signal: AbortSignal | undefined,
  wasLost: boolean = false,
): Promise<Repeated[]> {
  const { memory, clock } = host
  const found = new Map<number, Repeated>()
  const all = () => statements.map(({ config }, place) => found.get(place) ?? bareResult(config))
  if (Object.keys(kept).length === 0) return all()
  for (let readings = 1; ; readings++) {
    let lost: Error | undefined
    try {
      lost = await readOnce(host, statements, kept, signal, found)
    } catch (error) {
      // It is stored, which is what its caller has to know first.
      if (readings > 1 || wasLost || isInterruption(error as Error)) return all()
      throw error
    }
    const loss = lost && lossOf(lost)
    if (!loss || readings >= MOST_READINGS || isInterruption(loss.cause) || signal?.aborted) return all()
    const budget = spend(memory.budget)
    if (budget === undefined) return all()
    memory.budget = budget
    const delayMillis = backoffMillis(readings - 1, Number.POSITIVE_INFINITY, clock.random())
    emitRetried(memory.events, 'transaction', delayMillis, lost as Error)
    await pause(clock, delayMillis)
  }
}

/** Fills in what is not found yet. Returns with what its connection was lost. */
async function readOnce(
  host: RepeatHost,
  statements: readonly FlightStatement[],
  kept: KeptRows,
  signal: AbortSignal | undefined,
  found: Map<number, Repeated>,
): Promise<Error | undefined> {
  // Its caller came before the end of the pool, and what they ask for is stored.
  const own = host.isEnding() ? await host.borrow(SETTLE_MILLIS) : undefined
  const client = own?.client ?? (await host.connect(signal))
  const release = own?.release ?? client.release
  const vitals = vitalsOf(client)
  if (vitals) vitals.isUnderKey = true
  const lost = await orRelease(release, () => readOn(client, host, statements, kept, signal, found)).finally(() => {
    if (vitals) vitals.isUnderKey = false
  })
  release(lost)
  return lost
}

async function readOn(
  client: PeerClient,
  host: RepeatHost,
  statements: readonly FlightStatement[],
  kept: KeptRows,
  signal: AbortSignal | undefined,
  found: Map<number, Repeated>,
): Promise<Error | undefined> {
  let failure: Error | undefined
  for (const [place, statement] of statements.entries()) {
    const rows = kept[place]
    const text = textOf(statement.config) ?? ''
    const source = rows && rowSourceOf(text)
    if (!source || failure || found.has(place)) continue
    const answer = { rows: rows.map((row) => columnsOfRow(row)), names: kept[namesOf(place)], tag: `${source.tag} ${rows.length}` }
    const { results, error } = await fly(client, host, [{ ...statement, answer }], { text: 'SELECT 1', shown: text, signal })
    if (error && (!('severity' in error) || lossOf(error))) failure = error
    const [result] = results
    if (result) found.set(place, Object.assign(result, { repeated: true }) as Repeated)
  }
  return failure
}

/** It was stored before, and its rows were not kept. */
export function bareResult(config: unknown): Repeated {
  const command = /[a-z]+/i.exec(textOf(config) ?? '')?.[0].toUpperCase() ?? ''
  return { command, rowCount: null, oid: 0, fields: [], rows: [], repeated: true }
}
