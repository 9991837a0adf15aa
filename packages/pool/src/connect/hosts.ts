/** Which of several hosts is next, and whether a session is of the wanted kind. libpq's rules: "Specifying Multiple Hosts". */

import type { Clock } from '@thaw/core'
import type { PeerClient } from '../driver/peer.ts'
import { type HostPlan, type HostStep, optionsAt, type SessionKind } from '../options/hosts.ts'

/** For how long new connections begin with the host that answered last, before the first of the list is tried again: pgjdbc's `hostRecheckSeconds`. */
export const RECHECK_MILLIS = 10_000

const steps = new WeakMap<object, HostStep>()

/** The options of a client like this one: those of the pool, for the host that it was made for. */
export function optionsLike(client: object, options: object): object {
  const step = steps.get(client)
  return step ? optionsAt(options, step) : options
}

/** To be called when a client has been made for one of several hosts. */
export function noteStep(client: object, step: HostStep): void {
  steps.set(client, step)
}

/** Keeps track of the hosts that failed since the last success. Each is tried once; then there is a pause. */
export class HostOrder {
  readonly #plan: HostPlan
  readonly #clock: Clock
  readonly #tried = new Set<HostStep>()
  #order: readonly HostStep[]
  /** Where new connections begin. */
  #good: HostStep | undefined
  /** The last that had the wanted session. */
  #last: HostStep | undefined
  #goodAt = Number.NEGATIVE_INFINITY
  /** Since the last success: what was wrong with each host. */
  readonly #wrong = new Map<string, string>()
  #hasAnswered = false

  constructor(plan: HostPlan, clock: Clock) {
    this.#plan = plan
    this.#clock = clock
    this.#order = plan.steps
  }

  next(): HostStep {
    if (this.#tried.size === 0 && this.#plan.isRandom) this.#order = shuffled(this.#plan.steps, () => this.#clock.random())
    const isFresh = !this.#plan.isRandom && this.#clock.mono() - this.#goodAt < RECHECK_MILLIS
    if (isFresh && this.#good && !this.#tried.has(this.#good)) return this.#good
    return this.#order.find((step) => !this.#tried.has(step)) ?? (this.#order[0] as HostStep)
  }

  /** Is there another one to be tried at once? If not, all begins anew. */
  failed(step: HostStep): boolean {
    this.#tried.add(step)
    if (this.#tried.size < this.#plan.steps.length) return true
    this.restart()
    return false
  }

  /** Why that host was passed over. `answered`: its server itself said so. */
  note(place: string, why: string, answered: boolean): void {
    this.#wrong.delete(place)
    this.#wrong.set(place, why)
    this.#hasAnswered ||= answered
  }

  /** For the error that says that none was right. Undefined: there is only one. */
  get report(): string | undefined {
    if (this.#wrong.size < 2) return undefined
    return [...this.#wrong].map(([place, why]) => `${place}: ${why}`).join('; ')
  }

  /** Has one of them ever answered? Then the list is not a typing error as a whole, and one of them may become right. */
  get hasAnswered(): boolean {
    return this.#hasAnswered
  }

  /** Is it another one than before? */
  succeeded(step: HostStep): boolean {
    this.#tried.clear()
    this.#wrong.clear()
    this.#hasAnswered = true
    const isOther = this.#last !== undefined && this.#last !== step
    this.#last = step
    if (this.#good !== step || this.#clock.mono() - this.#goodAt >= RECHECK_MILLIS) this.#goodAt = this.#clock.mono()
    this.#good = step
    return isOther
  }

  restart(): void {
    this.#tried.clear()
    this.#good = undefined
  }
}

/** Standbys that are preferred stay in front of the rest. */
function shuffled(steps: readonly HostStep[], random: () => number): HostStep[] {
  const ranked = steps.map((step) => ({ step, rank: random() }))
  const first = steps[0]?.wants
  const pass = (step: HostStep) => (step.wants === first ? 0 : 1)
  return ranked.sort((a, b) => pass(a.step) - pass(b.step) || a.rank - b.rank).map(({ step }) => step)
}

/** The host's session is not what `target_session_attrs` asks for: another host may have it, or this one a little later. */
export class WrongSessionError extends Error {
  constructor(wants: SessionKind) {
    super(`the session is not ${wants === 'primary' || wants === 'standby' ? `on a ${wants}` : wants} (target_session_attrs=${wants})`)
    this.name = 'WrongSessionError'
  }
}

/** What the server reports at login, from PostgreSQL 14 on. */
interface Reported {
  in_hot_standby?: string
  default_transaction_read_only?: string
}

/** Undefined: it takes a question. */
function isOfKind(wants: SessionKind, { in_hot_standby: standby, default_transaction_read_only: readOnly }: Reported): boolean | undefined {
  if (standby === undefined) return undefined
  if (wants === 'primary' || wants === 'standby') return (standby === 'on') === (wants === 'standby')
  if (readOnly === undefined) return undefined
  return (standby === 'on' || readOnly === 'on') === (wants === 'read-only')
}

/** To be called before the client connects. What it returns is to be called afterwards. */
export function watchKind(client: PeerClient, wants: SessionKind): (done: (error: Error | undefined) => void) => void {
  if (wants === 'any') return (done) => done(undefined)
  const reported: Record<string, string> = {}
  const note = (message: { parameterName: string; parameterValue: string }) => {
    reported[message.parameterName] = message.parameterValue
  }
  client.connection?.on('parameterStatus', note)
  return (done) => {
    client.connection?.off('parameterStatus', note)
    const judge = (isRight: boolean) => done(isRight ? undefined : new WrongSessionError(wants))
    const known = isOfKind(wants, reported)
    if (known !== undefined) return judge(known)
    ask(client, wants, done, judge)
  }
}

/** Before PostgreSQL 14, and behind poolers that do not pass on what it reports. */
function ask(client: PeerClient, wants: SessionKind, failed: (error: Error) => void, judge: (isRight: boolean) => void): void {
  const isRole = wants === 'primary' || wants === 'standby'
  const text = isRole
    ? `SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'on' ELSE 'off' END AS found`
    : `SELECT pg_catalog.current_setting('transaction_read_only') AS found`
  client.query<{ found: string }>(text, (error, result) => {
    if (error) failed(error)
    else judge((result.rows[0]?.found === 'on') === (wants === 'standby' || wants === 'read-only'))
  })
}
