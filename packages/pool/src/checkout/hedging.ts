/** Opening a connection beside one whose reply is late: which connections are late, which are raced, and what a race may cost. */

import {
  type Clock,
  type Deadline,
  earnHedge,
  HEDGE_BUDGET,
  type HedgeBudget,
  hedgeDelayMillis,
  learnRoundTrip,
  nextDial,
  type RoundTrip,
  read,
  roomLeft,
  spendHedge,
  startDeadline,
} from '@thaw/core'
import type { PeerClient, PeerPool, PendingItem } from '../driver/peer.ts'
import type { Settings } from '../options/options.ts'

export class Hedging {
  readonly #pool: PeerPool<PendingItem>
  readonly #countBeside: () => number
  readonly #clock: Clock
  readonly #isOn: boolean
  readonly #longestMillis: number
  readonly #late = new Set<PeerClient>()
  readonly #raced = new Set<PeerClient>()
  /** Late ones in use, with a probe in front of their statement. */
  readonly #piggybacked = new Set<PeerClient>()
  #roundTrip: RoundTrip | undefined
  #budget: HedgeBudget = HEDGE_BUDGET

  /** @param countBeside connections beside the pool's own. While there are some, there is room for one above `max`, and no more. */
  constructor({ clock, hedge, probeTimeoutMillis }: Settings, pool: PeerPool<PendingItem>, countBeside: () => number) {
    this.#pool = pool
    this.#countBeside = countBeside
    this.#clock = clock
    this.#isOn = hedge
    this.#longestMillis = probeTimeoutMillis
  }

  get isLate(): boolean {
    return this.#late.size > 0
  }

  /** How long an answer may take before it is late. */
  get delayMillis(): number {
    return hedgeDelayMillis(this.#roundTrip)
  }

  /** A round trip took this long. One that is longer than any probe may take was a freeze. */
  learn(millis: number): void {
    if (millis <= this.#longestMillis) this.#roundTrip = learnRoundTrip(this.#roundTrip, millis)
  }

  /** A connection is probed. Calls back if it is late. Returns what to call when the probe is answered, or given up. */
  watch(client: PeerClient, isLate: () => void): (tookMillis: number | undefined) => void {
    const ring = () => {
      this.#late.add(client)
      isLate()
    }
    const deadline: Deadline | undefined = this.#isOn
      ? startDeadline(this.#clock, hedgeDelayMillis(this.#roundTrip), ring, true)
      : undefined
    return (tookMillis) => {
      deadline?.cancel()
      this.#late.delete(client)
      this.#raced.delete(client)
      if (tookMillis !== undefined) this.learn(tookMillis)
    }
  }

  /** The same for a connection that is already in use, with a probe in front of a statement. */
  watchPiggyback(client: PeerClient, isLate: () => void): (tookMillis: number | undefined) => void {
    const answered = this.watch(client, () => {
      this.#piggybacked.add(client)
      isLate()
    })
    return (tookMillis) => {
      this.#piggybacked.delete(client)
      answered(tookMillis)
    }
  }

  /** Should another connection attempt begin, beside this many, and this many that take long? And why? The caller does what the answer says. */
  reasonToDial(dialling: number, overdue: number): 'needed' | 'hedge' | undefined {
    const { _pendingQueue, _idle, _clients, options } = this.#pool
    const next = nextDial({
      waiting: _pendingQueue.length,
      idle: _idle.length + this.#piggybacked.size,
      late: this.#late.size,
      raced: this.#raced.size,
      dialling,
      overdue: this.#isOn ? overdue : 0,
      total: _clients.length,
      max: options.max,
    })
    const beside = next ? this.#countBeside() : 0
    if (beside > 0 && _clients.length + beside > options.max) return undefined
    if (next === 'needed') this.#budget = earnHedge(this.#budget)
    return next === 'hedge' && !this.#race() ? undefined : next
  }

  /** How many more connections there may be. Negative: there are too many, now that a race is over. */
  get room(): number {
    const { _clients, options } = this.#pool
    return roomLeft({ total: _clients.length, max: options.max, raced: this.#raced.size, overdue: 0 })
  }

  /** False: the budget does not allow it. */
  #race(): boolean {
    const left = spendHedge(this.#budget, read(this.#clock))
    const client = left && [...this.#late].find((one) => !this.#raced.has(one))
    if (!client) return false
    this.#budget = left
    this.#raced.add(client)
    return true
  }

  /** The connection attempt of a race failed: only the late reply is left to wait for. */
  lost(): void {
    for (const client of this.#raced) return void this.#raced.delete(client)
  }
}
