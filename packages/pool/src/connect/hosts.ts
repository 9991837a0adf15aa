/** Which of several hosts is next. libpq's rules: "Specifying Multiple Hosts". */

import type { Clock } from '@thaw/core'
import type { HostPlan, HostStep } from '../options/hosts.ts'
import { takeGone } from './host-facts.ts'

/** For how long new connections begin with the host that answered last, before the first of the list is tried again: pgjdbc's `hostRecheckSeconds`. */
export const RECHECK_MILLIS = 10_000

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
    const gone = takeGone(this.#plan)
    if (gone) this.failed(gone)
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
