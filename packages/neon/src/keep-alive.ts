/**
 * The sockets that `fetch` keeps alive behind our backs. A freeze kills them as it kills any others, and no rule of HTTP tells whether a request on a
 * dead one was received. So after a silence the request goes out on new ones.
 */

import { type Clock, elapsedMillis, pollSockets, type Reading, read, weighFreeze } from '@thaw/core'

/**
 * Node itself closes a socket that was idle for so long (undici's `keepAliveTimeout`), by a timer that does not run while the process is frozen. So a
 * new socket costs nothing here that Node would not pay anyway.
 */
const IDLE_MILLIS = 4000
/** As a pool's `trustMillis`: after this long the sockets are polled first, so that `fetch` hears of the sockets whose end has come already. */
const TRUST_MILLIS = 500

/** undici's, as Node has it: its settings are under a symbol of its own. */
interface Dispatcher {
  readonly constructor: { readonly name: string; new (options: object): object }
  readonly [settings: symbol]: { readonly connect?: unknown } | undefined
}

/** Under these Node's `fetch` finds its sockets (undici 5 to 7, and 8). */
const GLOBALS = ['undici.globalDispatcher.1', 'undici.globalDispatcher.2']

/** Of one endpoint. */
export class KeepAlive {
  readonly #clock: Clock
  #heardAt: Reading | undefined
  #isDoubtful = false
  /** Ours. Undefined: the one that everybody uses. */
  #agent: object | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Has this endpoint ever answered in this process? Then its address is no typing error. */
  get hasAnswered(): boolean {
    return this.#heardAt !== undefined
  }

  answered(): void {
    this.#heardAt = read(this.#clock)
  }

  /** A socket has died: its siblings are no better. Unless they are left already. */
  doubt(dispatcher: object | undefined): void {
    if (dispatcher === this.#agent) this.#isDoubtful = true
  }

  /** What to add to the options of a `fetch` that is about to be sent. Nothing where sockets are none of ours: in Workers, or with a dispatcher that somebody has chosen. */
  async options(): Promise<{ readonly dispatcher?: object }> {
    const now = read(this.#clock)
    const silenceMillis = this.#heardAt ? elapsedMillis(this.#heardAt, now) : 0
    const wasFrozen = this.#heardAt !== undefined && weighFreeze(this.#heardAt, now) === 'certain'
    if (this.#isDoubtful || wasFrozen || silenceMillis >= IDLE_MILLIS) this.#renew()
    else if (silenceMillis >= TRUST_MILLIS) await new Promise<void>((resolve) => pollSockets(this.#clock, resolve))
    return this.#agent ? { dispatcher: this.#agent } : {}
  }

  #renew(): void {
    this.#isDoubtful = false
    // The old one is left to itself: requests on it may be under way, or just about to be, and what is idle it closes when its timers run again.
    const node = chosenByNode()
    this.#agent = node && new node.Agent(node.options)
    if (this.#heardAt) this.#heardAt = read(this.#clock)
  }
}

/** The class and the settings of Node's own dispatcher. Undefined where there is none, or another one: whoever chose it had reasons. */
function chosenByNode(): { readonly Agent: Dispatcher['constructor']; readonly options: object } | undefined {
  const all = GLOBALS.map((name) => (globalThis as { [name: symbol]: Dispatcher | undefined })[Symbol.for(name)])
  const known = all.filter((dispatcher) => dispatcher !== undefined)
  const [dispatcher] = known
  const settings = dispatcher && Object.getOwnPropertySymbols(dispatcher).find(({ description }) => description === 'options')
  const options = settings && dispatcher[settings]
  if (!options || known.some((each) => each.constructor.name !== 'Agent') || options.connect !== undefined) return undefined
  return { Agent: dispatcher.constructor, options }
}
