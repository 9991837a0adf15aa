/** One statement, or one transaction, over HTTP: with its bounds, and retried if that is certain to do no harm. */

import {
  BUDGET_TOKENS,
  backoffMillis,
  type Clock,
  codeOf,
  createStatementCache,
  earn,
  judgeLoss,
  type LossEvidence,
  type LostStatement,
  type RetryBudget,
  spend,
} from '@thaw/core'
import { address, bound, connectError, errorOfLoss, interruptedBefore, isInterruption, mayBeMistaken, type Target } from '@thaw/pool'
import { judgeHttp, wireFactsOf } from './http-failure.ts'
import { KeepAlive } from './keep-alive.ts'

/** An address that has never answered in this process may contain a typo, see `mayBeMistaken`: that must not cost ten seconds. */
const UNREACHED_MILLIS = 800
const MOST_REPEATS = 2
/** PostgreSQL's read_only_sql_transaction. */
const READ_ONLY = '25006'
const WRITE: LostStatement = { kind: 'write', plainWrite: false, mayCommit: true }

/** What is sent, and how. */
export interface HttpStatement<Result> {
  readonly texts: readonly string[]
  /** Sent as one transaction. */
  readonly isTransaction: boolean
  readonly isIdempotent: boolean
  readonly signal: AbortSignal | undefined
  /** How long it may take, retries included. 0: forever. */
  readonly timeoutMillis: number
  /** How long it may be retried while no database is reached. 0: forever. */
  readonly waitLimitMillis: number
  send(fetchOptions: { readonly signal: AbortSignal; readonly dispatcher?: object }): Promise<Result>
  /** Nothing was sent, and nothing would be: `fetch` does not take its options. */
  wasRefused(error: unknown): boolean
  /** The same in a READ ONLY transaction. */
  sendReadOnly(fetchOptions: { readonly signal: AbortSignal; readonly dispatcher?: object }): Promise<Result>
}

/** The state of one statement so far. */
interface Course {
  readonly beganAt: number
  attempts: number
  /** How often it may still be retried, if it certainly was not executed. Two losses in a row can be chance, three are an outage. */
  repeats: number
  /** Between two attempts: nothing is in flight. */
  isPausing: boolean
  /** It may have been executed, and is being sent once more. */
  secondTry: { readonly evidence: LossEvidence; readonly how: 'inside READ ONLY' | 'as it is' } | undefined
}

const classify = createStatementCache()

/** All statements to one endpoint. */
export class HttpStatements {
  readonly #clock: Clock
  readonly #target: Target
  readonly #sockets: KeepAlive
  #budget: RetryBudget = BUDGET_TOKENS

  constructor(clock: Clock, target: Target) {
    this.#clock = clock
    this.#target = target
    this.#sockets = new KeepAlive(clock)
  }

  /**
   * Settles when the statement has been answered, or its time is up.
   *
   * @throws {OutcomeUnknownError | ConnectionLostError | ConnectError | DeadlineError} as described there; an error in the answer is thrown
   *   as the driver's.
   */
  run<Result>(statement: HttpStatement<Result>): Promise<Result> {
    const over = interruptedBefore({ timeoutMillis: 0, signal: statement.signal })
    if (over) return Promise.reject(over)
    const controller = new AbortController()
    return new Promise((resolve, reject) => {
      const course: Course = { beganAt: this.#clock.mono(), attempts: 0, repeats: MOST_REPEATS, isPausing: false, secondTry: undefined }
      const lift = bound(this.#clock, statement, (reason) => {
        controller.abort(reason)
        reject(
          course.isPausing && !course.secondTry
            ? reason
            : this.#errorOf(course.secondTry?.evidence ?? evidenceOf(statement, reason), reason),
        )
      })
      this.#attempt(statement, course, controller.signal).finally(lift).then(resolve, reject)
    })
  }

  async #attempt<Result>(statement: HttpStatement<Result>, course: Course, signal: AbortSignal): Promise<Result> {
    for (;;) {
      course.attempts++
      course.isPausing = false
      const sockets = await this.#sockets.options()
      try {
        const options = { signal, ...sockets }
        const result = await (course.secondTry?.how === 'inside READ ONLY' ? statement.sendReadOnly(options) : statement.send(options))
        this.#sockets.answered()
        this.#budget = earn(this.#budget)
        return result
      } catch (error) {
        if (signal.aborted) throw error
        if (judgeHttp(error) === 'lost') this.#sockets.doubt(sockets.dispatcher)
        await this.#failed(statement, course, error as Error, signal)
      }
    }
  }

  /** Resolves if it is to be sent again. Otherwise throws the caller's error. */
  async #failed(statement: HttpStatement<unknown>, course: Course, error: Error, signal: AbortSignal): Promise<void> {
    const failure = judgeHttp(error)
    if (failure === 'lost' && statement.wasRefused(error)) throw error
    if (failure === 'answer') {
      if (codeOf(error)) this.#sockets.answered()
      throw this.#wasNoRead(course, error) ?? error
    }
    if (failure === 'unsent') return this.#pause(statement, course, error, signal)
    if (course.secondTry) throw this.#errorOf(course.secondTry.evidence, error)
    const evidence = evidenceOf(statement, error)
    const { outcome, reason } = judgeLoss(evidence)
    const left = spend(this.#budget)
    if (left === undefined) throw this.#errorOf(evidence, error)
    if (outcome === 'not-executed') {
      if (course.repeats-- === 0) throw this.#errorOf(evidence, error)
    } else if (statement.isIdempotent) course.secondTry = { evidence, how: 'as it is' }
    else if (reason === 'read') course.secondTry = { evidence, how: 'inside READ ONLY' }
    else throw this.#errorOf(evidence, error)
    this.#budget = left
  }

  /** No database was reached: waits before the next attempt, with backoff, until `connectionTimeoutMillis` has passed. */
  async #pause(statement: HttpStatement<unknown>, course: Course, error: Error, signal: AbortSignal): Promise<void> {
    const elapsed = this.#clock.mono() - course.beganAt
    const waitLimit = statement.waitLimitMillis || Number.POSITIVE_INFINITY
    const isShort = !this.#sockets.hasAnswered && mayBeMistaken(Object.assign(new Error(), wireFactsOf(error)), this.#target)
    const remaining = (isShort ? Math.min(waitLimit, UNREACHED_MILLIS) : waitLimit) - elapsed
    if (remaining <= 0) throw this.#unreached(course, error, elapsed)
    const delay = backoffMillis(course.attempts - 1, remaining, this.#clock.random())
    course.isPausing = true
    await new Promise<void>((resolve, reject) => {
      const timer = this.#clock.setTimer(resolve, delay)
      signal.addEventListener('abort', () => {
        this.#clock.clearTimer(timer)
        reject(signal.reason as Error)
      })
    })
  }

  #unreached({ attempts, secondTry }: Course, error: Error, elapsedMillis: number): Error {
    if (secondTry) return this.#errorOf(secondTry.evidence, error)
    const wire = wireFactsOf(error)
    const said = Object.assign(new Error(error.message, { cause: error }), wire)
    return connectError(said, this.#target, attempts, elapsedMillis)
  }

  /** Thaw took it for a read, lost it, and was refused when it sent it again inside READ ONLY. So it is unknown what the first attempt did. */
  #wasNoRead({ secondTry }: Course, error: Error): Error | undefined {
    if (secondTry?.how !== 'inside READ ONLY' || codeOf(error) !== READ_ONLY) return undefined
    return this.#errorOf({ ...secondTry.evidence, statement: WRITE }, error)
  }

  #errorOf(evidence: LossEvidence, cause: Error): Error {
    const wire = isInterruption(cause) ? {} : wireFactsOf(cause)
    return errorOfLoss({ verdict: judgeLoss(evidence), evidence, cause, where: address(this.#target) }, wire)
  }
}

/** Neon's proxy answers for the database, and sends each statement by the extended protocol, outside any transaction but its own. */
function evidenceOf(statement: HttpStatement<unknown>, cause: Error): LossEvidence {
  const severity = (cause as { severity?: unknown }).severity
  return {
    statement: lostStatement(statement),
    isUnsent: false,
    status: 'I',
    mayEnd: true,
    isExtended: true,
    fatalSqlstate: typeof severity === 'string' ? codeOf(cause) : undefined,
    isFirstWord: false,
    isDirect: false,
    isUnreplicated: false,
  }
}

function lostStatement({ texts, isTransaction }: HttpStatement<unknown>): LostStatement {
  const all = texts.map(classify)
  if (all.every(({ kind }) => kind === 'read')) return { kind: 'read', plainWrite: false, mayCommit: false }
  const [only] = all
  return !isTransaction && only ? only : { kind: 'transaction', plainWrite: false, mayCommit: true }
}
