/** Finding out what became of a COMMIT whose answer was lost: who the server is now, then the fence, then what it says of the transaction's id, then whether its standbys have it. */

import {
  backoffMillis,
  type Clock,
  type CommitReason,
  type CommitVerdict,
  codeOf,
  currentInvocation,
  type Events,
  type Incarnation,
  isSamePostmaster,
  judgeCommit,
  OutcomeUnknownError,
  resumeInvocation,
  type UnknownReason,
  type XactStatus,
} from '@thaw/core'
import { emitOutcome } from '../checkout/emit.ts'
import type { Borrowed } from '../checkout/own-work.ts'
import { WAITS } from '../connection/known-backend.ts'
import type { Loss } from '../connection/lost-statement.ts'
import type { PeerClient } from '../driver/peer.ts'
import { ASK_WHO, backendOf, question, tellsNothing } from './backend.ts'
import { fence, type LostSession } from './fence.ts'
import { isReplicated, OUTCOME_ASKS, unconfirmed, WARNED } from './replication.ts'

/** All that is known of a COMMIT that was lost. */
export interface LostCommit extends LostSession {
  /** For people: a host and a port. */
  readonly where: string
  readonly lostAt: number
  /** What the statement's own connection said. */
  readonly cause: Error
  /** What the pool's own rule said of it. */
  readonly statement: string
}

/** What settling needs of its pool. */
export interface SettleHost {
  readonly clock: Clock
  /** A connection for a question of our own, also while the pool ends. */
  borrow(timeoutMillis: number): Promise<Borrowed>
  /** The end of the pool waits no longer. */
  isTurnedOut(): boolean
  /** Asks the server to stop working on the client's statement. */
  cancel(client: PeerClient): void
}

/** How long is asked, in all. As long as the pool tries to open a connection by default. */
export const SETTLE_MILLIS = 10_000
const LEAST_ATTEMPTS = 3
/** For a connection, once that time is up. */
const LEAST_WAIT_MILLIS = 1_000
/** One question. */
const QUESTION_MILLIS = 3_000
/** invalid_parameter_value: "transaction ID … is in the future". */
const IN_THE_FUTURE = '22023'

/** Tells what the server said of a loss, in place of what was known when it happened. */
export function emitSettled(events: Events, loss: Loss, { outcome, reason }: Pick<CommitVerdict, 'outcome' | 'reason'>): void {
  if (reason === 'unreplicated') emitOutcome(events, loss, 'reported', { outcome, reason })
  else if (outcome === 'executed') emitOutcome(events, loss, 'resolved', { outcome, reason: 'committed' })
  else if (outcome === 'not-executed') emitOutcome(events, loss, 'reported', { outcome, reason: 'transaction-rolled-back' })
  else emitOutcome(events, loss, 'reported')
}

/** Asks until there is an answer, or the time is up: then the last that is known. */
export async function settle(host: SettleHost, lost: LostCommit): Promise<CommitVerdict> {
  if (lost.xid == null || !lost.backend?.incarnation) return judgeCommit({ xid: lost.xid, before: lost.backend?.incarnation, ...NOTHING })
  const { clock } = host
  const until = clock.mono() + SETTLE_MILLIS
  let last: CommitVerdict = { outcome: 'unknown', reason: 'still-in-progress', mayChange: true }
  for (let attempt = 0; ; attempt++) {
    const before = lost.backend.incarnation
    const known = last
    last = await beforeItEnds(clock, () => askOnce(host, lost, before, known, until), last)
    // A process that was frozen meanwhile has not asked: some questions are put whatever the time.
    if (!last.mayChange || (attempt >= LEAST_ATTEMPTS && clock.mono() >= until) || isOver(host)) return last
    await pause(clock, backoffMillis(attempt, SETTLE_MILLIS, clock.random()))
  }
}

/**
 * An invocation whose time runs out waits for a connection no longer: it has to say what it knows, before its platform ends it. If its time was up before, as when that is what has ended
 * COMMIT, one question is waited for all the same. What was asked goes on, and gives its connection back: it is no part of the invocation, whose deadline would end it.
 */
export function beforeItEnds<Answer>(clock: Clock, ask: () => Promise<Answer>, otherwise: Answer): Promise<Answer> {
  const signal = currentInvocation()?.signal
  return new Promise((resolve) => {
    const end = () => answered(otherwise)
    const timer = signal?.aborted ? clock.setTimer(end, QUESTION_MILLIS) : undefined
    const answered = (answer: Answer) => {
      signal?.removeEventListener('abort', end)
      if (timer) clock.clearTimer(timer)
      resolve(answer)
    }
    signal?.addEventListener('abort', end)
    resumeInvocation(undefined, ask).then(answered, end)
  })
}

const NOTHING = { now: undefined, isStandby: false, status: undefined, checkpointXid: undefined } as const

function isOver(host: SettleHost): boolean {
  return host.isTurnedOut() || currentInvocation()?.signal?.aborted === true
}

/** How long a connection is waited for. Nothing is as long as all of it when it is tried again: where the caller holds the last connection, it waits for itself. */
export function waitUntil(clock: Clock, until: number): number {
  return Math.max(LEAST_WAIT_MILLIS, until - clock.mono())
}

async function askOnce(
  host: SettleHost,
  lost: LostCommit,
  before: Incarnation,
  last: CommitVerdict,
  until: number,
): Promise<CommitVerdict> {
  const { client, release } = await host.borrow(waitUntil(host.clock, until))
  let failure: Error | undefined
  try {
    const verdict = await ask(client, host, lost, before, until)
    if (verdict.reason === 'unreplicated') failure = new Error(WARNED)
    return verdict
  } catch (error) {
    failure = error as Error
    if (tellsNothing(failure)) return judgeCommit({ xid: lost.xid, before, ...NOTHING })
    return last
  } finally {
    release(failure)
  }
}

async function ask(client: PeerClient, host: SettleHost, lost: LostCommit, before: Incarnation, until: number): Promise<CommitVerdict> {
  const { clock } = host
  const { xid } = lost
  const query = (config: object) => question(client, { query_timeout: QUESTION_MILLIS, ...config })
  const here = backendOf(await query(ASK_WHO.config))
  const now = here?.incarnation
  if (here?.isStandby || !now) return judgeCommit({ xid, before, ...NOTHING, isStandby: here?.isStandby ?? false })
  // Of a former postmaster nothing is still at work.
  if (isSamePostmaster(before, now)) await fence(client, lost, clock, QUESTION_MILLIS)
  let { status, waits } = await statusOf(query, String(xid))
  // The fence has told its backend to end, and does not wait until it has. Where an invocation is over, this is the only question.
  for (let millis = 10; status === 'in progress' && millis <= 320; millis *= 2) {
    await pause(clock, millis)
    ;({ status, waits } = await statusOf(query, String(xid)))
  }
  const mustLook = status === 'committed' && !isSamePostmaster(before, now)
  const checkpointXid = mustLook ? await nextXid(query) : undefined
  const told = { xid, before, now, isStandby: false, status, checkpointXid }
  const verdict = judgeCommit(told)
  if (verdict.reason !== 'committed' || !waits) return verdict
  return judgeCommit({ ...told, isReplicated: await isReplicated(host, client, waitUntil(clock, until)) })
}

type Ask = (config: object) => Promise<unknown>

/** `waits`: the server has synchronous standbys. */
async function statusOf(query: Ask, xid: string): Promise<{ status: XactStatus; waits: boolean }> {
  try {
    const answer = await query({ text: `SELECT pg_xact_status($1::xid8) AS status, ${WAITS}`, values: [xid] })
    const [row] = (answer as { rows: { status: XactStatus | null; waits: string }[] }).rows
    return { status: row?.status ?? 'too old', waits: row?.waits === 'true' }
  } catch (error) {
    if (codeOf(error) === IN_THE_FUTURE && 'severity' in (error as Error)) return { status: 'in the future', waits: false }
    throw error
  }
}

/** Written as `epoch:xid`. */
async function nextXid(query: Ask): Promise<bigint | undefined> {
  const answer = (await query({ text: 'SELECT next_xid FROM pg_control_checkpoint()' })) as { rows: { next_xid: string }[] }
  const [epoch, low] = (answer.rows[0]?.next_xid ?? '').split(':')
  return epoch && low ? (BigInt(epoch) << 32n) + BigInt(low) : undefined
}

export function pause(clock: Clock, millis: number): Promise<void> {
  return new Promise((resolve) => void clock.setTimer(resolve, millis))
}

const WHY: Readonly<Partial<Record<UnknownReason, string>>> = {
  'xid-not-known': 'the server had not told the id of the transaction',
  'server-not-known': 'the server did not say who it is when the transaction began',
  standby: 'only a standby answers',
  'no-functions': 'this database has no functions that tell it',
  'another-system': 'another cluster answers under this name',
  'too-old': 'the server keeps nothing of a transaction that old',
  'still-in-progress': 'the server did not tell in time',
  'xid-may-be-anothers': 'the server crashed or was replaced meanwhile, and may have given the id of the transaction to another one',
}

/** Have the standbys got what was answered as stored, though its wait for them was ended, or may have been? False: not in time, or it could not be asked. */
export function reachesStandbys(host: SettleHost): Promise<boolean> {
  const ask = async () => {
    const { client, release } = await host.borrow(SETTLE_MILLIS)
    let failure: Error | undefined
    try {
      const { rows } = (await question(client, { text: `SELECT ${WAITS}`, query_timeout: QUESTION_MILLIS })) as {
        rows: { waits: string }[]
      }
      if (rows[0]?.waits !== 'true') return true
      const hasReached = await isReplicated(host, client, SETTLE_MILLIS)
      if (!hasReached) failure = new Error(WARNED)
      return hasReached
    } catch (error) {
      failure = error as Error
      throw error
    } finally {
      release(failure)
    }
  }
  // A connection that is lost under the question says nothing of the standbys, of which most servers have none.
  const askAgain = async (tries: number): Promise<boolean> => {
    try {
      return await ask()
    } catch {
      return tries > 1 && (await askAgain(tries - 1))
    }
  }
  return beforeItEnds(host.clock, () => askAgain(LEAST_ATTEMPTS), false)
}

/** Of a session that goes on, and is not to be ended: only in that very transaction. */
export function warnedCommit(session: LostSession, where: string, lostAt: number): LostCommit {
  return { ...session, unasked: undefined, isDirect: false, where, lostAt, cause: new Error(WARNED), statement: 'transaction' }
}

/** What is told to the caller. What can be asked again later hangs on it: see `pool.outcome()`. */
export function toldOf(lost: LostCommit, reason: CommitReason): Error {
  return reason === 'unreplicated' ? unconfirmed(lost.cause, OUTCOME_ASKS) : unknownError(lost, reason)
}

function unknownError(lost: LostCommit, reason: CommitReason): OutcomeUnknownError {
  const settledBy =
    reason === 'standby' || reason === 'still-in-progress'
      ? 'pool.outcome(error), once the primary answers'
      : 'a look at what the transaction writes, or an idempotencyKey the next time'
  const error = new OutcomeUnknownError({
    reason,
    message: `${lost.cause.message}: the connection to ${lost.where} was lost after COMMIT was sent, and ${WHY[reason] ?? reason}. It is not known whether it was stored: look before you run it again.`,
    cause: lost.cause,
    evidence: {
      statement: 'transaction',
      inTransaction: true,
      answered: false,
      host: lost.where,
      lostAt: lost.lostAt,
      settledBy,
      ...(lost.xid != null && { xid: String(lost.xid) }),
    },
  })
  return error
}
