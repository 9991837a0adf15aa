/** The whole run: both drivers side by side through one fault after the other. */

import { setMaxListeners } from 'node:events'
import { borrowDatabase, type Database, startOwnDatabase } from './database.ts'
import type { Fault } from './faults.ts'
import { type Figures, total } from './figures.ts'
import { LabError } from './lab-error.ts'
import { plural } from './plural.ts'
import type { Recording } from './record/recording.ts'
import { type Driver, type Lane, playRound, type RoundResult } from './round.ts'

/** What to run. */
export interface LabOptions {
  readonly faults: readonly Fault[]
  readonly seed: number
  /** The user's own database. Default: a PostgreSQL of the lab's own for each driver, so that neither slows the other. */
  readonly url: URL | undefined
}

/** One line of the result. */
export interface FaultResult {
  readonly name: string
  readonly happens: string
  readonly pg: Figures
  readonly thaw: Figures
  /** Plain pg with a retry by hand, where a write is lost. */
  readonly retried?: Figures
  /** What happened when, for each driver. */
  readonly recordings: Readonly<Record<Driver, Recording>>
}

/** What the lab found. */
export interface LabResult {
  readonly seed: number
  readonly database: 'own' | 'url'
  readonly postgresVersion: string
  readonly nodeVersion: string
  readonly tookMillis: number
  readonly faults: readonly FaultResult[]
  /** Faults that this database does not allow, and why. */
  readonly skipped: readonly { readonly name: string; readonly reason: string }[]
  readonly total: Readonly<Record<Driver, Omit<Figures, 'errors'>>>
  /** What Thaw should have done better. Empty is what we want. */
  readonly complaints: readonly string[]
}

/** Told how it goes. */
export interface LabListener {
  /** Something is being prepared. */
  preparing(what: string): void
  /** These faults will be played. */
  planned(faults: readonly Fault[]): void
  /** A fault begins. */
  begun(fault: Fault): void
  /** A driver has come to a new step. */
  stepped(driver: Driver, step: string): void
  /** A fault is over for both. */
  finished(result: FaultResult): void
}

/**
 * Runs the lab. Leaves nothing behind, however it ends.
 *
 * @throws {LabError} when the lab itself could not do its work.
 */
export async function runLab({ faults, seed, url }: LabOptions, listener: LabListener, signal: AbortSignal): Promise<LabResult> {
  const startedAt = performance.now()
  listener.preparing(url ? `making a schema for each driver at ${url.host}` : 'starting a PostgreSQL for each driver')
  await using databases = await openDatabases(() => (url ? borrowDatabase(url) : startOwnDatabase()))
  signal.throwIfAborted()
  const skipped = faults.flatMap((fault) => {
    const reason = reasonToSkip(fault, databases.pg)
    return reason === undefined ? [] : [{ name: fault.name, reason }]
  })
  const planned = faults.filter(({ name }) => !skipped.some((skip) => skip.name === name))
  if (planned.length === 0)
    throw new LabError(`There is nothing to do here: ${skipped.map(({ name, reason }) => `${name}: ${reason}`).join('; ')}.`)
  listener.planned(planned)
  const results: FaultResult[] = []
  for (const fault of planned) {
    listener.begun(fault)
    const play = (driver: Lane, stop: AbortSignal) => {
      const database = databases[driver === 'retry' ? 'pg' : driver]
      const tell = (step: string) => (driver === 'retry' ? undefined : listener.stepped(driver, step))
      return playRound(fault, { driver, seed, database, signal: stop, tell })
    }
    const lanes = ['pg', 'thaw', ...(fault.losesWrite ? (['retry'] as const) : [])] as const
    const played = await allOrNone(
      signal,
      lanes.map((driver) => (stop: AbortSignal) => play(driver, stop)),
    )
    const [pg, thaw, retried] = played as readonly [RoundResult, RoundResult, RoundResult?]
    const result = {
      name: fault.name,
      happens: fault.happens,
      pg: pg.figures,
      thaw: thaw.figures,
      ...(retried && { retried: retried.figures }),
      recordings: { pg: pg.recording, thaw: thaw.recording },
    }
    results.push(result)
    listener.finished(result)
  }
  return {
    seed,
    database: url ? 'url' : 'own',
    postgresVersion: databases.pg.version,
    nodeVersion: process.version,
    tookMillis: Math.round(performance.now() - startedAt),
    faults: results,
    skipped,
    total: { pg: total(results.map(({ pg }) => pg)), thaw: total(results.map(({ thaw }) => thaw)) },
    complaints: results.flatMap(complain),
  }
}

function reasonToSkip({ needs }: Fault, database: Database): string | undefined {
  if (needs === 'own-server' && !database.restart) return 'the lab restarts no server but its own'
  if (needs === 'own-tables' && !database.restart) return 'the lab makes no table of idempotency keys but in its own database'
  if (needs === 'host-name' && !database.isNamed) return 'the URL has no host name that could fail to resolve'
  return undefined
}

function complain({ name, thaw }: FaultResult): string[] {
  const { failed, rowsTwice, rowsMissing, crashes, errors } = thaw
  const said = Object.entries(errors)
    .map(([message, times]) => `${times} x ${message}`)
    .join('; ')
  return [
    ...(failed > 0 ? [`${name}: ${plural(failed, 'call')} failed that should not have (${said})`] : []),
    ...(crashes > 0 ? [`${name}: the process would have crashed ${plural(crashes, 'time')} (${said})`] : []),
    ...(rowsTwice > 0 ? [`${name}: ${plural(rowsTwice, 'row')} too many were written`] : []),
    ...(rowsMissing > 0 ? [`${name}: ${plural(rowsMissing, 'row')} missing of orders that were confirmed`] : []),
  ]
}

async function openDatabases(open: () => Promise<Database>): Promise<Record<Driver, Database> & AsyncDisposable> {
  const [pg, thaw] = await Promise.allSettled([open(), open()])
  const opened = [pg, thaw].flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  const close = async (): Promise<void> => {
    const failed = (await Promise.allSettled(opened.map((database) => database[Symbol.asyncDispose]()))).find(
      ({ status }) => status === 'rejected',
    )
    if (failed?.status === 'rejected') throw failed.reason
  }
  if (pg.status === 'fulfilled' && thaw.status === 'fulfilled') return { pg: pg.value, thaw: thaw.value, [Symbol.asyncDispose]: close }
  await close()
  throw pg.status === 'rejected' ? pg.reason : (thaw as PromiseRejectedResult).reason
}

type Play<T> = (stop: AbortSignal) => Promise<T>

/** Waits for all even if one fails, which stops the others: none may be left running. Throws what failed first. */
async function allOrNone<T>(signal: AbortSignal, plays: readonly Play<T>[]): Promise<readonly T[]> {
  const failure = new AbortController()
  const stop = AbortSignal.any([signal, failure.signal])
  // Every sleep and poll listens to it; that is no leak.
  setMaxListeners(0, stop)
  const stopping = (work: Promise<T>): Promise<T> => {
    work.catch((error: unknown) => failure.abort(error))
    return work
  }
  const ended = await Promise.allSettled(plays.map((play) => stopping(play(stop))))
  const results = ended.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  if (results.length === plays.length) return results
  signal.throwIfAborted()
  throw failure.signal.reason
}
