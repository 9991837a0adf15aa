/**
 * Writes under an idempotency key: the key's row and the statements go in one flight, and share their fate. Where its answer is lost a tombstone tells what became of it, and
 * keeps what comes late from being stored.
 */

import {
  backoffMillis,
  type CommitReason,
  codeOf,
  currentInvocation,
  earn,
  fingerprintOf,
  IdempotencyKeyError,
  judgeKey,
  type KeyRow,
  OutcomeUnknownError,
  rerunReason,
  spend,
} from '@thaw/core'
import { emitOutcome, emitRetried } from '../checkout/emit.ts'
import { interruptedBefore, isInterruption } from '../connection/interruption.ts'
import { type Loss, lossOf } from '../connection/lost-statement.ts'
import { hasSessionState } from '../connection/session-state.ts'
import { isBroken } from '../connection/vitals.ts'
import type { PeerClient } from '../driver/peer.ts'
import { isRefusedForGood, knownBackend, question, RAW, vitalsOf } from './backend.ts'
import { CANCELED, flyBounded } from './bounded-flight.ts'
import { fence, type LostSession, lostSession } from './fence.ts'
import { type FlightStatement, fly, type Landing, textOf, timeoutOf } from './flight.ts'
import { type FlightTag, isTagRefused, tagOf } from './flight-tag.ts'
import { bareResult, keptRowsOf, type Refusal, refusalOf, repeatResults } from './kept-result.ts'
import {
  CLAIM,
  COUNT_TABLES,
  FORGET,
  KEY_TABLE,
  keyTimeOf,
  keyTrouble,
  LOOK,
  NOT_TAKEN,
  ROW_HELD,
  TAGGED_CLAIM,
  TAGGED_TAKE_OVER,
  TAKE_OVER,
  TOMBSTONE,
} from './key-table.ts'
import { nothingStored } from './nothing-stored.ts'
import { isRefusedByStandby } from './refused-by-standby.ts'
import { beforeItEnds, emitSettled, pause, SETTLE_MILLIS, waitUntil } from './settle.ts'
import type { TransactionHost } from './transaction.ts'

/** One call with a key. */
export interface KeyedCall {
  readonly key: string
  readonly statements: readonly FlightStatement[]
  readonly signal: AbortSignal | undefined
  /** What to do instead where the server refuses the row of the key. Undefined: it is an error. */
  readonly withoutKey?: () => Promise<unknown[]>
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
}

/** Sends after which a call gives up: two of them lost is luck, more is an outage. */
export const MOST_SENDS = 4
export const QUESTION_MILLIS = 3_000
const CREATE_IT = 'Create it once: await pool.createIdempotencyTable(), or IDEMPOTENCY_SQL of the package in a migration.'
/** One write in so many deletes what has expired. */
export const FORGET_SHARE: number = 1 / 100

/** The statement, and whatever it is given. */
export function fingerprintOfCall(statements: readonly FlightStatement[]): string {
  return fingerprintOf(
    statements.flatMap(({ config, values }) => [textOf(config), values ?? (config as { values?: unknown } | null)?.values]),
  )
}

/** The results; those of the first time, where it had been stored before, and its answer went to another caller, or was lost. */
export async function runKeyed(host: TransactionHost, call: KeyedCall): Promise<unknown[]> {
  const { memory, clock } = host
  const fingerprint = fingerprintOfCall(call.statements)
  let row: FoundRow | undefined
  let refusal: Refusal | undefined
  let metStandby = false
  let wasHidden = false
  for (let sends = 1; ; sends++) {
    const over = interruptedBefore({ timeoutMillis: 0, signal: call.signal })
    const next = judgeKey(row, fingerprint)
    // It is stored, so its caller is told that, even after an abort.
    if (next.step === 'repeated') {
      const repeat = () => repeatResults(host, call.statements, keptRowsOf(row?.results ?? null), over ? undefined : call.signal)
      const bare = () => call.statements.map(({ config }) => bareResult(config))
      return over ? beforeItEnds(clock, repeat, bare()) : repeat()
    }
    if (over) throw over
    if (next.step === 'mismatch') throw anotherStatement(call.key)
    const generation = next.step === 'take over' ? next.generation : undefined
    const sent = refusal ? call.statements : host.keeper.keeping(call.statements, call.key)
    const { landing, look, forgets, session, isStopped, isStandby, hadSessionState } = await send(
      host,
      { ...call, statements: sent },
      fingerprint,
      generation,
    )
    if (!landing.error) {
      if (metStandby) host.roles.forget()
      memory.budget = earn(memory.budget)
      // Made by a migration, perhaps, since this pool has looked.
      if (!call.withoutKey) memory.hasKeyTable = true
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
    if (failedAt === 0 && !loss && !isTaken && call.withoutKey && !mayAgain) return call.withoutKey()
    if (isTaken && !look && wasHidden) throw keyError('hidden', call.key, error)
    // Its row may have been deleted since.
    wasHidden = isTaken && !look
    if (isTaken) row = look
    else if (loss)
      row = await afterLoss(host, { key: call.key, fingerprint, where: loss.where, cause: loss.cause, session, hadSessionState }, loss)
    else if (!mayAgain) throw trouble ? keyError(trouble, call.key, error) : error
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

/** The flight; and if the key is taken, its row. */
async function send(
  host: TransactionHost,
  call: KeyedCall,
  fingerprint: string,
  generation: number | undefined,
): Promise<{
  landing: Landing
  look?: FoundRow | undefined
  forgets?: boolean
  session: LostSession
  isStopped?: boolean
  isStandby?: boolean
  hadSessionState: boolean
}> {
  const client = await host.connect(call.signal)
  const hadSessionState = hasSessionState(client)
  const tag = tagOf(host.memory, host.clock)
  const first = claimOf(call.key, fingerprint, generation, tag)
  const forgets = host.keeper.mayForget && host.clock.random() < FORGET_SHARE
  const last = forgets ? [{ config: { text: FORGET, types: RAW } }] : []
  const text = call.statements.map(({ config }) => textOf(config)).join('; ')
  const bounds = { timeoutMillis: timeoutOf(call.statements) ?? host.queryTimeoutMillis, signal: call.signal }
  const vitals = vitalsOf(client)
  if (vitals) vitals.isUnderKey = true
  const { landing, endedBy } = await flyBounded(host, client, bounds, (inner) =>
    fly(client, host, [first, ...call.statements, ...last], { text, shownAt: call.statements.length, ...inner, ends: true }),
  )
  if (vitals) vitals.isUnderKey = false
  const session = { ...lostSession(host.memory, client, { backend: knownBackend(client), xid: undefined }), tag }
  const { error } = landing
  if (!error || !('severity' in error) || lossOf(error)) {
    client.release(error && (lossOf(error) || isBroken(client)) ? error : endedBy)
    return { landing, session, hadSessionState, isStopped: error !== undefined && error === endedBy && !lossOf(error) }
  }
  const trouble = landing.failedAt === 0 ? keyTrouble(error) : undefined
  // Of one that has expired, too: it is kept for a day longer than it may come for the first time.
  const isTaken = trouble === 'taken' || trouble === 'expired' || (landing.failedAt === 0 && codeOf(error) === NOT_TAKEN)
  try {
    const isStandby = await isRefusedByStandby(host.roles, client, error)
    const ask = () => rowBy(client, LOOK, [call.key])
    // What its caller has ended may have been answered before the cancel came: then that has ended this question, once.
    const again = (ended: Error) => (endedBy && codeOf(ended) === CANCELED ? ask() : Promise.reject(ended))
    const look = isTaken ? await ask().catch(again) : undefined
    client.release(endedBy)
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
  const outcome = outcomeOf(row)
  emitSettled(host.memory.events, loss, outcome ?? 'unknown')
  if (!(row instanceof Error) && outcome) return row
  const unknown = unknownKey(lost, row)
  host.unknownKey(unknown, lost)
  throw unknown
}

/** The row of a key; or why the server will not tell, however often it is asked. Undefined: it could not be asked. */
type Told = FoundRow | Error | undefined

export function outcomeOf(told: Told): 'executed' | 'not-executed' | undefined {
  if (!told || told instanceof Error) return undefined
  return told.state === 'done' ? 'executed' : 'not-executed'
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

/** With a schema for each tenant there may be a table of keys in each. A row that is not in this session's says nothing of one in the other's. */
class SeveralTables extends Error {}
const SEVERAL = 'its session had state of its own (SET), and there are several tables of keys'

async function isOnlyTable(client: PeerClient): Promise<boolean> {
  const { rows } = (await question(client, { text: COUNT_TABLES, query_timeout: QUESTION_MILLIS })) as { rows: { n: string }[] }
  return Number(rows[0]?.n) <= 1
}

/** Another session holds the key's row, and may give it back. */
function isHeld(told: object): boolean {
  return 'severity' in told && codeOf(told) === ROW_HELD
}

async function askOnce(host: TransactionHost, lost: LostKey, waitMillis: number): Promise<FoundRow | undefined> {
  const { client, release } = await host.borrow(waitMillis)
  let failure: Error | undefined
  try {
    await fence(client, lost.session, host.clock, QUESTION_MILLIS)
    if (lost.hadSessionState && !(await isOnlyTable(client))) throw new SeveralTables(SEVERAL)
    return await bury(lost, (text, values) => rowBy(client, text, values))
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

async function rowBy(client: PeerClient, text: string, values: readonly unknown[]): Promise<FoundRow | undefined> {
  return foundRowOf(await question(client, { text, values, query_timeout: QUESTION_MILLIS }))
}

/** Reads the answer to a question. */
export function foundRowOf(answer: unknown): FoundRow | undefined {
  const { rows } = answer as {
    rows: { fingerprint: string; state: KeyRow['state']; generation: string; results?: string | null }[]
  }
  const [row] = rows
  return row && { ...row, generation: Number(row.generation), results: row.results ?? null }
}

export function notStored({ cause, where }: Pick<Loss, 'cause' | 'where'>): Error {
  const message = `the connection to ${where} was lost, and the table of keys has been asked: nothing was stored, and nothing of it will be. Send it again under the same key.`
  return nothingStored(cause, { outcome: 'not-executed', reason: 'unsent' }, message)
}

/** `refusal`: why the server will not tell. */
export function unknownKey({ cause, where }: Pick<LostKey, 'cause' | 'where'>, refusal?: FoundRow | Error): OutcomeUnknownError {
  const isSeveral = refusal instanceof SeveralTables
  const isMissing = keyTrouble(refusal ?? {}) === 'no-table'
  const why = isMissing
    ? `the table ${KEY_TABLE}, which would tell, is not there. ${CREATE_IT} Then send it`
    : isSeveral
      ? `${refusal.message}, so that no other session can tell. Look at what it writes before you send it`
      : refusal && isHeld(refusal)
        ? 'another session at the server still holds the row of its key. Once that has ended, send it'
        : refusal instanceof Error
          ? `the server refuses to ask the table of keys (${refusal.message}). Once it does not, send it`
          : 'the table of keys could not be asked. Send it'
  return new OutcomeUnknownError({
    reason: 'key-not-asked' satisfies CommitReason | 'key-not-asked',
    message: `${cause.message}: the connection to ${where} was lost after the statement was sent, and ${why} again under the same key${isSeveral ? '' : ', or call pool.outcome(error)'}.`,
    cause,
    evidence: {
      statement: 'write',
      inTransaction: false,
      answered: false,
      host: where,
      settledBy: isSeveral
        ? 'a look at what it writes, or the same call in a session with the same state'
        : 'the same call again, under the same key; or pool.outcome(error)',
    },
  })
}

function anotherStatement(key: string): Error {
  return new IdempotencyKeyError({
    reason: 'another-statement',
    message: `The idempotency key "${key}" was used before, with another statement or other values. Nothing was executed. Make a new key for each request, and give it the same values each time it is tried.`,
  })
}

function keyError(trouble: 'taken' | 'expired' | 'hidden' | 'no-table', key: string, cause: Error): Error {
  if (trouble === 'expired') {
    return new IdempotencyKeyError({
      reason: 'expired',
      message: `The idempotency key "${key}" was made more than seven days ago, and what became of it may have been forgotten. Nothing was executed.`,
      cause,
    })
  }
  if (trouble === 'hidden') {
    return new IdempotencyKeyError({
      reason: 'hidden',
      message: `The idempotency key "${key}" is taken, but this role does not see its row in ${KEY_TABLE}. This call has stored nothing; what the first one did is not known. With row-level security the table needs policies for SELECT, INSERT and UPDATE that cover all of the role's keys.`,
      cause,
    })
  }
  return new IdempotencyKeyError({
    reason: 'no-table',
    message: `The table ${KEY_TABLE}, in which idempotency keys are kept, is not there. Nothing was executed. ${CREATE_IT}`,
    cause,
  })
}
