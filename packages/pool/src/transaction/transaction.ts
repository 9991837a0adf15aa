/** `pool.transaction(fn)`: runs the function in a transaction until it is stored, or certainly cannot be. */

import {
  backoffMillis,
  CommitRolledBackError,
  ConnectionLostError,
  causesOf,
  codeOf,
  currentInvocation,
  earn,
  mayRerun,
  OptionError,
  rerunReason,
  spend,
  TransactionUseError,
} from '@thaw/core'
import { emitOutcome, emitRetried } from '../checkout/emit.ts'
import { interruptedBefore } from '../connection/interruption.ts'
import { addressOf, type Loss, lossOf } from '../connection/lost-statement.ts'
import type { Memory } from '../connection/pool-context.ts'
import { hasSessionState } from '../connection/session-state.ts'
import { isBusy } from '../connection/when-finished.ts'
import type { PeerClient } from '../driver/peer.ts'
import { Attempt, type AttemptHost } from './attempt.ts'
import { fence, type LostSession, lostSession } from './fence.ts'
import type { Keeper } from './kept-result.ts'
import { endLeftBehind } from './left-behind.ts'
import { nothingStored } from './nothing-stored.ts'
import { orRelease } from './or-release.ts'
import { isRefusedByStandby, type RoleWatch } from './refused-by-standby.ts'
import { beginOf, DEFAULT_RETRIES, type TransactionOptions } from './rules.ts'
import { emitSettled, type LostCommit, reachesStandbys, type SettleHost, settle, toldOf, warnedCommit } from './settle.ts'
import { LEFT_OPEN, Session, type TransactionClient, UNAWAITED } from './transaction-client.ts'

/** What transactions need of their pool. */
export interface TransactionHost extends AttemptHost, SettleHost {
  readonly memory: Memory
  readonly keeper: Keeper
  /** The pool's `query_timeout`. 0: none. */
  readonly queryTimeoutMillis: number
  connect(signal?: AbortSignal): Promise<PeerClient>
  /** What a server that refused a write is. */
  readonly roles: RoleWatch
  /** From now on the end of the pool waits for what is done. Returns the function that says that it is over. */
  begin(): () => void
  isEnding(): boolean
  /** The error says that the outcome is unknown, and may be asked again. */
  unknown(error: Error, lost: LostCommit): void
  unknownKey(
    error: Error,
    lost: {
      readonly key: string
      readonly fingerprint: string
      readonly where: string
      readonly cause: Error
      readonly session: LostSession
    },
  ): void
}

/** A function, with whatever else it is given of the try. */
export type Work<Result> = (client: TransactionClient, attempt: Attempt) => Promise<Result> | Result

/** How one try has ended. `fence`: its session may still be there. */
type Ended<Result> =
  | { readonly is: 'stored'; readonly result: Result }
  | {
      readonly is: 'failed'
      readonly error: Error
      readonly fence?: LostSession
      readonly isInVain?: boolean
      readonly isStandby?: boolean
      readonly hadSessionState?: boolean
      /** What it was that failed first, where the error only says that something had. */
      readonly root?: Error | undefined
    }

const FENCE_MILLIS = 3_000
/** PostgreSQL's in_failed_sql_transaction: what every statement behind the one that failed is told. */
const FAILED_BEFORE = '25P02'

export async function runTransaction<Result>(host: TransactionHost, work: Work<Result>, options: TransactionOptions): Promise<Result> {
  const { clock, memory } = host
  const retries = options.retries ?? DEFAULT_RETRIES
  let lost: LostSession | undefined
  let metStandby = false
  for (let tries = 0; ; tries++) {
    const over = interruptedBefore({ timeoutMillis: 0, signal: options.signal })
    if (over) throw givenUp(host, lost, over)
    const ended = await attemptOnce(host, work, options, lost)
    if (ended.is === 'stored') {
      if (metStandby) host.roles.forget()
      memory.budget = earn(memory.budget)
      return ended.result
    }
    lost = ended.fence
    // It happens once: from then on nothing is asked.
    if (ended.isInVain) continue
    const reason = rerunReason(ended.root ?? ended.error)
    const budget = reason === 'lost' ? spend(memory.budget) : memory.budget
    const facts = {
      reason,
      retriesLeft: retries - tries,
      isOver: isOver(options),
      isPoolEnding: host.isEnding(),
      hasBudget: budget !== undefined,
      isStandby: ended.isStandby,
      hadSessionState: ended.hadSessionState,
    }
    if (!mayRerun(facts)) throw givenUp(host, lost, ended.error)
    metStandby ||= ended.isStandby === true
    memory.budget = budget ?? memory.budget
    const delayMillis = backoffMillis(tries, Number.POSITIVE_INFINITY, clock.random())
    emitRetried(memory.events, 'transaction', delayMillis, ended.error)
    await sleep(host, delayMillis, options.signal)
  }
}

/** Returns the error. */
function givenUp(host: TransactionHost, lost: LostSession | undefined, error: Error): Error {
  if (lost) endLeftBehind(host, lost)
  return error
}

function isOver({ signal }: TransactionOptions): boolean {
  return signal?.aborted === true || currentInvocation()?.signal.aborted === true
}

/** Wakes up early when it is over, which the next try then tells. */
function sleep({ clock }: TransactionHost, millis: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      clock.clearTimer(timer)
      signal?.removeEventListener('abort', wake)
      resolve()
    }
    const timer = clock.setTimer(wake, millis)
    signal?.addEventListener('abort', wake)
  })
}

/** @throws {OptionError} when its invocation is over: it could not even be tried once. */
export function checkTimeLeft(retries: number | undefined): void {
  const invocation = currentInvocation()
  if (!invocation?.signal.aborted || !retries) return
  throw new OptionError({
    option: 'retries',
    allowed: '0, when the time of the invocation is up',
    message: `pool.transaction() was to be tried up to ${retries + 1} times, but the time of its invocation is up. Call it earlier, or give the function more time.`,
  })
}

async function attemptOnce<Result>(
  host: TransactionHost,
  work: Work<Result>,
  options: TransactionOptions,
  before: LostSession | undefined,
): Promise<Ended<Result>> {
  const client = await host.connect(options.signal)
  const hadSessionState = hasSessionState(client)
  const ended = await orRelease(client.release, () => attemptOn(host, client, work, options, before))
  return hadSessionState && ended.is === 'failed' ? { ...ended, hadSessionState } : ended
}

async function attemptOn<Result>(
  host: TransactionHost,
  client: PeerClient,
  work: Work<Result>,
  options: TransactionOptions,
  before: LostSession | undefined,
): Promise<Ended<Result>> {
  const attempt = new Attempt(client, host, beginOf(options), options.signal)
  try {
    // What was lost may hold locks for hours, until the server notices.
    if (before && !(await fence(client, before, host.clock, FENCE_MILLIS)) && before.tag) endLeftBehind(host, before)
  } catch (error) {
    client.release(error as Error)
    return { is: 'failed', error: notBegun(error as Error), fence: before as LostSession }
  }
  const session = new Session(attempt)
  let result: Result
  try {
    result = await work(session.client, attempt)
  } catch (error) {
    session.close(attempt.interruption)
    // A statement beside one that was ended by its bound was lost with the connection: that is no reason to run it again.
    return failed(host, attempt, (lossOf(error as Error) && attempt.interruption) ?? error)
  }
  if (session.close() > 0) attempt.noteMisuse(new TransactionUseError({ message: UNAWAITED }))
  else await attempt.whenSent()
  if (attempt.misuse) return failed(host, attempt, attempt.misuse)
  if (attempt.interruption) return failed(host, attempt, attempt.interruption)
  if (attempt.failureToBegin) return failed(host, attempt, attempt.failureToBegin)
  if (!attempt.hasBegun) {
    client.release()
    return { is: 'stored', result }
  }
  if (await attempt.isLeftOpen()) return failed(host, attempt, new TransactionUseError({ message: LEFT_OPEN }))
  return commit(host, attempt, result)
}

async function failed(host: TransactionHost, attempt: Attempt, thrown: unknown): Promise<Ended<never>> {
  const ended = await rollBack(host, attempt, thrown)
  return ended.is === 'failed' && attempt.isInVain ? { ...ended, isInVain: true } : ended
}

/** Whatever the reason. */
async function rollBack(host: TransactionHost, attempt: Attempt, thrown: unknown): Promise<Ended<never>> {
  const { client } = attempt
  const error = attempt.byHand.ended ?? (thrown as Error)
  attempt.abandon()
  const root = causesOf(error).some((each) => codeOf(each) === FAILED_BEFORE) ? attempt.firstFailure : undefined
  if (attempt.isBroken) {
    client.release(attempt.firstFailure ?? true)
    return { is: 'failed', error, fence: sessionOf(host, attempt) }
  }
  if (!attempt.hasBegun) {
    client.release()
    return { is: 'failed', error }
  }
  // Who has aborted it waits for nothing that its function has left.
  const isAborted = attempt.interruption !== undefined
  if (isAborted ? isBusy(client) : !(await attempt.isQuiet())) {
    // Its end is the end of the transaction. ROLLBACK would wait behind what is open.
    client.release(error ?? true)
    return { is: 'failed', error, fence: sessionOf(host, attempt) }
  }
  try {
    await attempt.rollback(isAborted ? FENCE_MILLIS : 0)
    const isStandby = !attempt.isReadOnly && (await isRefusedByStandby(host.roles, client, root ?? error))
    client.release()
    return { is: 'failed', error, isStandby, root }
  } catch (unanswered) {
    client.release(unanswered as Error)
    return { is: 'failed', error, fence: sessionOf(host, attempt), root }
  }
}

async function commit<Result>(host: TransactionHost, attempt: Attempt, result: Result): Promise<Ended<Result>> {
  const { client } = attempt
  try {
    if (!(await attempt.commit())) return confirmed(host, attempt, result)
    client.release()
    return { is: 'stored', result }
  } catch (thrown) {
    const error = thrown as Error
    const loss = lossOf(error)
    if (loss?.verdict.outcome === 'not-executed') emitOutcome(host.memory.events, loss, 'reported')
    if (!loss || loss.verdict.outcome === 'not-executed') return notCommitted(host, attempt, error)
    client.release(error)
    const lost: LostCommit = {
      ...sessionOf(host, attempt),
      where: loss.where,
      lostAt: host.clock.wall(),
      cause: loss.cause,
      statement: loss.evidence.statement.kind,
    }
    return settled(host, lost, loss, result)
  }
}

/** COMMIT was answered, but its wait for the replicas had been ended. */
async function confirmed<Result>(host: TransactionHost, attempt: Attempt, result: Result): Promise<Ended<Result>> {
  const { client } = attempt
  const lost = warnedCommit(sessionOf(host, attempt), addressOf(client), host.clock.wall())
  client.release()
  if (await reachesStandbys(host)) return { is: 'stored', result }
  const error = toldOf(lost, 'unreplicated')
  host.unknown(error, lost)
  return { is: 'failed', error }
}

async function settled<Result>(host: TransactionHost, lost: LostCommit, loss: Loss, result: Result): Promise<Ended<Result>> {
  const verdict = await settle(host, lost)
  emitSettled(host.memory.events, loss, verdict)
  const { outcome, reason } = verdict
  if (outcome === 'executed' && reason !== 'unreplicated') return { is: 'stored', result }
  if (outcome === 'not-executed') return { is: 'failed', error: lostBeforeCommit(lost) }
  const unknown = toldOf(lost, loss.verdict.outcome === 'executed' ? 'unreplicated' : reason)
  host.unknown(unknown, lost)
  return { is: 'failed', error: unknown }
}

/** COMMIT was refused, or certainly never arrived. */
async function notCommitted(host: TransactionHost, attempt: Attempt, error: Error): Promise<Ended<never>> {
  const { firstFailure } = attempt
  // A function that swallowed the failure of a statement is told about it all the same.
  const told = error instanceof CommitRolledBackError && firstFailure && !error.cause ? withCause(error, firstFailure) : error
  return failed(host, attempt, told)
}

function withCause(error: Error, cause: Error): Error {
  return Object.defineProperty(error, 'cause', { value: cause, configurable: true, writable: true })
}

function sessionOf(host: TransactionHost, attempt: Attempt): LostSession {
  return { ...lostSession(host.memory, attempt.client, attempt), tag: attempt.tag }
}

/** What was lost is our own question: whether that was executed is nothing to its caller, who would take it for the fate of the transaction. */
function notBegun(error: Error): Error {
  const cause = lossOf(error)?.cause ?? error
  return new ConnectionLostError({
    verdict: { outcome: 'not-executed', reason: 'nothing-durable' },
    message: `${cause.message}: the connection was lost before the transaction began. Nothing of it is stored.`,
    cause,
    wire: { code: codeOf(cause) },
  })
}

/** The same as of any transaction that was lost before its end: nothing of it remains. */
function lostBeforeCommit({ cause, where }: LostCommit): Error {
  const message = `the connection to ${where} was lost at COMMIT, and the server has been asked: nothing of the transaction is stored. Run it again.`
  return nothingStored(cause, { outcome: 'not-executed', reason: 'transaction-rolled-back' }, message)
}
