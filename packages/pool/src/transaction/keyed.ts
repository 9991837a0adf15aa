/**
 * Writes under an idempotency key: the key's row and the statements go in one flight, and share their fate. Where its answer is lost a tombstone tells what became of it, and
 * keeps what comes late from being stored.
 */

import { backoffMillis, codeOf, currentInvocation, earn, fingerprintOf, judgeKey, type KeyRow, rerunReason, spend } from '@thaw/core'
import { emitOutcome, emitRetried } from '../checkout/emit.ts'
import { interruptedBefore, isInterruption } from '../connection/interruption.ts'
import { type Loss, lossOf } from '../connection/lost-statement.ts'
import { noteKeyTable } from '../connection/pool-context.ts'
import { hasSessionState } from '../connection/session-state.ts'
import { isBroken } from '../connection/vitals.ts'
import type { PeerClient } from '../driver/peer.ts'
import { isRefusedForGood, knownBackend, question, RAW, vitalsOf } from './backend.ts'
import { CANCELED, flyBounded } from './bounded-flight.ts'
import { textOf, timeoutOf } from './config.ts'
import { fence, type LostSession, lostSession } from './fence.ts'
import { type FlightStatement, fly, type Landing } from './flight.ts'
import { type FlightTag, isTagRefused, tagOf } from './flight-tag.ts'
import { bareResult, keptRowsOf, type Refusal, refusalOf, repeatResults } from './kept-result.ts'
import {
  CLAIM,
  COUNT_TABLES,
  FORGET,
  keyTimeOf,
  keyTrouble,
  LOOK,
  NOT_TAKEN,
  TAGGED_CLAIM,
  TAGGED_TAKE_OVER,
  TAKE_OVER,
  TOMBSTONE,
} from './key-table.ts'
import { anotherStatement, isHeld, keyError, notStored, SEVERAL, SeveralTables, unknownKey } from './keyed-errors.ts'
import { orRelease } from './or-release.ts'
import { isRefusedByStandby } from './refused-by-standby.ts'
import { isReplicated, OUTCOME_ASKS, SAME_KEY_ASKS, unconfirmed, WARNED } from './replication.ts'
import { beforeItEnds, emitSettled, pause, reachesStandbys, SETTLE_MILLIS, waitUntil } from './settle.ts'
import type { TransactionHost } from './transaction.ts'

/** One call with a key. */
export interface KeyedCall {
  readonly key: string
  readonly statements: readonly FlightStatement[]
  readonly signal: AbortSignal | undefined
  /** What to do instead where the server refuses the row of the key. Undefined: it is an error. */
  readonly withoutKey?: (refused: Error) => Promise<unknown[]>
}

/** A key whose write was lost, for `pool.outcome()`. */
export interface LostKey {
  readonly key: string
  readonly fingerprint: string
  readonly where: string
  readonly cause: Error
  /** It may still be at work, or wait for the rest of what was sent: the tombstone would wait for it. */
  readonly session: LostSession
  /** Its session had state of its own (SET, …), which may have said which table is meant. */
  readonly hadSessionState: boolean
}

/** A row, with what it keeps. */
export interface FoundRow extends KeyRow {
  readonly results: string | null
  /** The server has synchronous standbys. */
  readonly waits?: boolean
  /** They have not confirmed it: it is stored, and a failover could lose it. */
  readonly isUnreplicated?: boolean
}

/** Sends after which a call gives up: two of them lost is luck, more is an outage. */
export const MOST_SENDS = 4
export const QUESTION_MILLIS = 3_000
/** One write in so many deletes what has expired. */
export const FORGET_SHARE: number = 1 / 100

/** The statement, and whatever it is given. An empty list is sent like none. */
export function fingerprintOfCall(statements: readonly FlightStatement[]): string {
  return fingerprintOf(
    statements.flatMap(({ config, values }) => [textOf(config), someOf(values ?? (config as { values?: unknown } | null)?.values)]),
  )
}

/** No values, and none in a list, are the same to the server. */
function someOf(values: unknown): unknown {
  return Array.isArray(values) && values.length === 0 ? undefined : values
}

/** The results; those of the first time, where it had been stored before, and its answer went to another caller, or was lost. */
export async function runKeyed(host: TransactionHost, call: KeyedCall): Promise<unknown[]> {
  const { memory, clock } = host
  const fingerprint = fingerprintOfCall(call.statements)
  const timeoutMillis = timeoutOf(call.statements) ?? host.queryTimeoutMillis
  let row: FoundRow | undefined
  let lost: LostKey | undefined
  let refusal: Refusal | undefined
  let metStandby = false
  let wasHidden = false
  for (let sends = 1; ; sends++) {
    const over = interruptedBefore({ timeoutMillis: 0, signal: call.signal })
    const next = judgeKey(row, fingerprint)
    // It is stored, so its caller is told that, even after an abort.
    if (next.step === 'repeated') {
      if (row?.isUnreplicated) throw notReplicated(host, { ...lost, key: call.key, fingerprint }, !call.withoutKey)
      const kept = keptRowsOf(row?.results ?? null)
      const repeat = () => repeatResults(host, call.statements, kept, over ? undefined : call.signal, lost !== undefined)
      const bare = () => call.statements.map(({ config }) => bareResult(config))
      return over ? beforeItEnds(clock, repeat, bare()) : repeat()
    }
    if (over) throw over
    if (next.step === 'mismatch') throw anotherStatement(call.key)
    const generation = next.step === 'take over' ? next.generation : undefined
    const sent = refusal ? call.statements : host.keeper.keeping(call.statements, call.key)
    const { landing, look, forgets, session, isStopped, isDoubtful, isStandby, hadSessionState } = await send(
      host,
      { ...call, statements: sent, timeoutMillis },
      fingerprint,
      generation,
    )
    if (!landing.error) {
      if (isDoubtful && !(await reachesStandbys(host))) throw notReplicated(host, { key: call.key, fingerprint }, !call.withoutKey)
      if (metStandby) host.roles.forget()
      memory.budget = earn(memory.budget)
      // Made by a migration, perhaps, since this pool has looked.
      if (!call.withoutKey) noteKeyTable(memory)
      if (refusal) host.keeper.noteRefused(refusal)
      return landing.results.slice(1, 1 + call.statements.length)
    }
    const { error, failedAt } = landing
    if (isStopped) throw error
    const loss = lossOf(error)
    metStandby ||= isStandby === true
    const mayAgain = isStandby || rerunReason(error) === 'conflict'
    if (!loss && !isStandby) refusal ??= refusalOf(sent[failedAt - 1], call.statements[failedAt - 1], error)
    if (refusal && sent !== call.statements && !loss && failedAt > 0) continue
    // Deleting what has expired is no reason for a write to fail: this role may not, so another one has to.
    if (!loss && forgets && failedAt === 1 + call.statements.length && isRefusedForGood(error)) {
      host.keeper.noteMayNotForget()
      continue
    }
    if (failedAt === 0 && !loss && isTagRefused(memory, session.tag, codeOf(error))) continue
    const trouble = failedAt === 0 && !loss ? keyTrouble(error) : undefined
    const isTaken =
      trouble === 'taken' ||
      (trouble === 'expired' && look?.state === 'done') ||
      (failedAt === 0 && codeOf(error) === NOT_TAKEN && generation !== undefined)
    if (failedAt === 0 && !loss && !isTaken && call.withoutKey && !mayAgain) return call.withoutKey(error)
    if (isTaken && !look && wasHidden) throw keyError('hidden', call.key, error)
    // Its row may have been deleted since.
    wasHidden = isTaken && !look
    if (isTaken) row = look
    else if (loss) {
      lost = { key: call.key, fingerprint, where: loss.where, cause: loss.cause, session, hadSessionState }
      row = await afterLoss(host, lost, loss)
    } else if (!mayAgain) throw trouble ? keyError(trouble, call.key, error) : error
    if (row?.state === 'done') continue
    // Another session would not have the state that was left in this one.
    if (loss && hadSessionState) throw loss.verdict.outcome === 'not-executed' ? error : notStored(loss)
    const budget = isTaken || isStandby ? memory.budget : spend(memory.budget)
    if (sends >= MOST_SENDS || budget === undefined || host.isEnding() || (loss && isInterruption(loss.cause)))
      throw loss ? notStored(loss) : error
    memory.budget = budget
    const delayMillis = backoffMillis(sends - 1, Number.POSITIVE_INFINITY, clock.random())
    emitRetried(memory.events, 'transaction', delayMillis, error)
    await pause(clock, delayMillis)
  }
}

/** What goes in front of the statements. `generation`: of the tombstone that it replaces. */
export function claimOf(key: string, fingerprint: string, generation: number | undefined, tag?: FlightTag): FlightStatement {
  const isNew = generation === undefined
  const values = [key, fingerprint, isNew ? keyTimeOf(key) : String(generation), ...(tag ?? [])]
  const text = tag ? (isNew ? TAGGED_CLAIM : TAGGED_TAKE_OVER) : isNew ? CLAIM : TAKE_OVER
  return { config: { text, values, types: RAW } }
}

type TimedCall = KeyedCall & { readonly timeoutMillis: number }

/** What became of the flight; and if the key is taken, its row. */
interface KeySent {
  landing: Landing
  look?: FoundRow | undefined
  forgets?: boolean
  session: LostSession
  isStopped?: boolean
  /** It was stored, and its wait for the replicas was ended, or may have been: by its caller. */
  isDoubtful?: boolean
  isStandby?: boolean
  hadSessionState: boolean
}

async function send(host: TransactionHost, call: TimedCall, fingerprint: string, generation: number | undefined): Promise<KeySent> {
  const client = await host.connect(call.signal)
  return orRelease(client.release, () => sendOn(client, host, call, fingerprint, generation))
}

async function sendOn(
  client: PeerClient,
  host: TransactionHost,
  call: TimedCall,
  fingerprint: string,
  generation: number | undefined,
): Promise<KeySent> {
  const hadSessionState = hasSessionState(client)
  const tag = tagOf(host.memory, host.clock)
  const first = claimOf(call.key, fingerprint, generation, tag)
  const forgets = host.keeper.mayForget && host.clock.random() < FORGET_SHARE
  const last = forgets ? [{ config: { text: FORGET, types: RAW } }] : []
  const text = call.statements.map(({ config }) => textOf(config)).join('; ')
  const vitals = vitalsOf(client)
  if (vitals) vitals.isUnderKey = true
  const { landing, endedBy } = await flyBounded(host, client, call, (inner) =>
    fly(client, host, [first, ...call.statements, ...last], { text, shownAt: call.statements.length, ...inner, ends: true }),
  ).finally(() => {
    if (vitals) vitals.isUnderKey = false
  })
  const session = { ...lostSession(host.memory, client, { backend: knownBackend(client), xid: undefined }), tag }
  const { error } = landing
  if (!error || !('severity' in error) || lossOf(error)) {
    client.release(error && (lossOf(error) || isBroken(client)) ? error : endedBy)
    const isDoubtful = !error && (landing.isUnreplicated === true || endedBy !== undefined)
    return { landing, session, hadSessionState, isDoubtful, isStopped: error !== undefined && error === endedBy && !lossOf(error) }
  }
  const trouble = landing.failedAt === 0 ? keyTrouble(error) : undefined
  // Of one that has expired, too: it is kept for a day longer than it may come for the first time.
  const isTaken = trouble === 'taken' || trouble === 'expired' || (landing.failedAt === 0 && codeOf(error) === NOT_TAKEN)
  try {
    const isStandby = await isRefusedByStandby(host.roles, client, error)
    const waitMillis = endedBy ? QUESTION_MILLIS : Math.min(call.timeoutMillis || SETTLE_MILLIS, SETTLE_MILLIS)
    const ask = () => rowBy(client, LOOK, [call.key]).then((row) => confirmed(host, client, row, waitMillis, call.signal))
    // What its caller has ended may have been answered before the cancel came: then that has ended this question, once.
    const again = (ended: Error) => (endedBy && codeOf(ended) === CANCELED ? ask() : Promise.reject(ended))
    const look = isTaken ? await ask().catch(again) : undefined
    client.release(endedBy ?? (look?.isUnreplicated ? new Error(WARNED) : undefined))
    return { landing, look, forgets, session, isStandby, hadSessionState }
  } catch (unanswered) {
    client.release(unanswered as Error)
    return { landing: { results: [], failedAt: -1, error: unanswered as Error }, session, hadSessionState }
  }
}

/** What became of it. A row that is void says that it was not stored, and from now on cannot be. */
async function afterLoss(host: TransactionHost, lost: LostKey, loss: Loss): Promise<FoundRow | undefined> {
  // Nothing of it has left, or the server has said that it had not begun.
  if (loss.verdict.outcome === 'not-executed') {
    emitOutcome(host.memory.events, loss, 'reported')
    return undefined
  }
  const row = await askKey(host, lost)
  const outcome = outcomeOf(row, lost.fingerprint)
  const isUnreplicated = outcome === 'executed' && (row as FoundRow).isUnreplicated
  emitSettled(host.memory.events, loss, { outcome: outcome ?? 'unknown', reason: isUnreplicated ? 'unreplicated' : 'committed' })
  if (!(row instanceof Error) && outcome) return row
  const unknown = unknownKey(lost, row)
  host.unknownKey(unknown, lost)
  throw unknown
}

/** The row of a key; or why the server will not tell, however often it is asked. Undefined: it could not be asked. */
type Told = FoundRow | Error | undefined

/** A row of another statement takes the place that this one's would need: it was not stored, and never will be under that key. */
export function outcomeOf(told: Told, fingerprint: string): 'executed' | 'not-executed' | undefined {
  if (!told || told instanceof Error) return undefined
  return told.state === 'done' && told.fingerprint === fingerprint ? 'executed' : 'not-executed'
}

export function askKey(host: TransactionHost, lost: LostKey): Promise<Told> {
  return askUntil(host, (waitMillis) => askOnce(host, lost, waitMillis))
}

/** Asks until there is an answer, or the time is up. */
export async function askUntil(
  { clock, isTurnedOut }: Pick<TransactionHost, 'clock' | 'isTurnedOut'>,
  ask: (waitMillis: number) => Promise<FoundRow | undefined>,
): Promise<Told> {
  const until = clock.mono() + SETTLE_MILLIS
  for (let attempt = 0; ; attempt++) {
    const told = () =>
      ask(waitUntil(clock, until)).catch((error: Error) => (isFinal(error) || isHeld(error) ? error : Promise.reject(error)))
    const row = await beforeItEnds<Told>(clock, told, undefined)
    const isOver = isTurnedOut() || currentInvocation()?.signal.aborted === true
    if ((row && !isHeld(row)) || isOver || (attempt >= 3 && clock.mono() >= until)) return row
    await pause(clock, backoffMillis(attempt, SETTLE_MILLIS, clock.random()))
  }
}

/** What is not there, or not allowed, will not be in ten seconds. Class 42 of PostgreSQL's errors. */
function isFinal(error: Error): boolean {
  return error instanceof SeveralTables || ('severity' in error && codeOf(error)?.startsWith('42') === true)
}

async function isOnlyTable(client: PeerClient): Promise<boolean> {
  const { rows } = (await question(client, { text: COUNT_TABLES, query_timeout: QUESTION_MILLIS })) as { rows: { n: string }[] }
  return Number(rows[0]?.n) <= 1
}

async function askOnce(host: TransactionHost, lost: LostKey, waitMillis: number): Promise<FoundRow | undefined> {
  const { client, release } = await host.borrow(waitMillis)
  let failure: Error | undefined
  try {
    await fence(client, lost.session, host.clock, QUESTION_MILLIS)
    if (lost.hadSessionState && !(await isOnlyTable(client))) throw new SeveralTables(SEVERAL)
    const row = await bury(lost, (text, values) => rowBy(client, text, values))
    const told = await confirmed(host, client, row, waitMillis)
    if (told?.isUnreplicated) failure = new Error(WARNED)
    return told
  } catch (error) {
    if (!isHeld(error as Error)) failure = error as Error
    throw error
  } finally {
    release(failure)
  }
}

/** Puts a tombstone under the key, where nothing is stored under it. Undefined: that proves nothing. */
export async function bury(
  { key, fingerprint }: Pick<LostKey, 'key' | 'fingerprint'>,
  rowBy: (text: string, values: readonly unknown[]) => Promise<FoundRow | undefined>,
): Promise<FoundRow | undefined> {
  const tombstone = await rowBy(TOMBSTONE, [key, fingerprint, keyTimeOf(key)]).catch((error: Error) => {
    if (keyTrouble(error) === 'expired') return undefined
    throw error
  })
  const row = tombstone ?? (await rowBy(LOOK, [key]))
  // It has expired meanwhile, and takes no tombstone any more: a backend that began in time may still be at work. What it has stored is there.
  if (!tombstone && row?.state === 'void') return undefined
  return row
}

/** The row of a write that is stored proves only that: its wait for the replicas may have been ended, by us or by an earlier caller. */
async function confirmed(
  host: TransactionHost,
  client: PeerClient,
  row: FoundRow | undefined,
  timeoutMillis: number,
  signal?: AbortSignal,
): Promise<FoundRow | undefined> {
  if (row?.state !== 'done' || !row.waits || (await isReplicated(host, client, timeoutMillis, signal))) return row
  return { ...row, isUnreplicated: true }
}

/** Of a session that goes on: there is nothing to end. */
const KEPT_SESSION = {
  session: { backend: undefined, unasked: undefined, isDirect: false, xid: undefined },
  hadSessionState: false,
  where: 'the server',
  cause: new Error(WARNED),
}

/** The error of a write that is stored, which can be asked again. `isCallers`: its caller has the key. */
export function notReplicated(
  host: Pick<TransactionHost, 'unknownKey'>,
  lost: Partial<LostKey> & Pick<LostKey, 'key' | 'fingerprint'>,
  isCallers: boolean,
): Error {
  const all = { ...KEPT_SESSION, ...lost }
  const error = unconfirmed(all.cause, isCallers ? SAME_KEY_ASKS : OUTCOME_ASKS)
  host.unknownKey(error, all)
  return error
}

async function rowBy(client: PeerClient, text: string, values: readonly unknown[]): Promise<FoundRow | undefined> {
  return foundRowOf(await question(client, { text, values, query_timeout: QUESTION_MILLIS }))
}

/** Reads the answer to a question. */
export function foundRowOf(answer: unknown): FoundRow | undefined {
  const { rows } = answer as {
    rows: { fingerprint: string; state: KeyRow['state']; generation: string; results?: string | null; waits?: string }[]
  }
  const [row] = rows
  return row && { ...row, generation: Number(row.generation), results: row.results ?? null, waits: row.waits === 'true' }
}
