/**
 * The sockets that `fetch` keeps alive behind the scenes. A freeze kills them like any others, and HTTP does not tell whether a request on
 * a dead one was received. So after a silence, the request is sent on new sockets.
 */

import { type Clock, elapsedMillis, pollSockets, type Reading, read, weighFreeze } from '@thaw/core'

/**
 * Node itself closes a socket that has been idle for this long (undici's `keepAliveTimeout`), by a timer that does not run while the
 * process is frozen. So a new socket costs nothing that Node would not have paid anyway.
 */
const IDLE_MILLIS = 4000
/** Like a pool's `trustMillis`: after this long the sockets are polled first, so that `fetch` learns which of them have been closed. */
const TRUST_MILLIS = 500

/** undici's dispatcher, as Node provides it: its settings are under a symbol. */
interface Dispatcher {
  readonly constructor: { readonly name: string; new (options: object): object }
  readonly [settings: symbol]: { readonly connect?: unknown } | undefined
}

/** The symbols under which Node's `fetch` finds its dispatcher (undici 5 to 7, and 8). */
const GLOBALS = ['undici.globalDispatcher.1', 'undici.globalDispatcher.2']

/** Of one endpoint. */
export class KeepAlive {
  readonly #clock: Clock
  #heardAt: Reading | undefined
  #isDoubtful = false
  /** Ours. Undefined: the process-wide one. */
  #agent: object | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Has this endpoint ever answered in this process? Then its address is not a typo. */
  get hasAnswered(): boolean {
    return this.#heardAt !== undefined
  }

  answered(): void {
    this.#heardAt = read(this.#clock)
  }

  /** A socket has died: its siblings are suspect. Unless they have been replaced already. */
  doubt(dispatcher: object | undefined): void {
    if (dispatcher === this.#agent) this.#isDoubtful = true
  }

  /**
   * What to add to the options of a `fetch` that is about to be sent. Nothing where the sockets are not ours: in Workers, or with a
   * dispatcher that the user has set.
   */
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
    // The old one is left alone: requests may be in flight on it, or about to be, and it closes its idle sockets when its timers run again.
    const node = chosenByNode()
    this.#agent = node && new node.Agent(node.options)
    if (this.#heardAt) this.#heardAt = read(this.#clock)
  }
}

/** The class and the settings of Node's own dispatcher. Undefined if there is none, or if the user has set another. */
function chosenByNode(): { readonly Agent: Dispatcher['constructor']; readonly options: object } | undefined {
  const all = GLOBALS.map((name) => (globalThis as { [name: symbol]: Dispatcher | undefined })[Symbol.for(name)])
  const known = all.filter((dispatcher) => dispatcher !== undefined)
  const [dispatcher] = known
  const settings = dispatcher && Object.getOwnPropertySymbols(dispatcher).find(({ description }) => description === 'options')
  const options = settings && dispatcher[settings]
  if (!options || known.some((each) => each.constructor.name !== 'Agent') || options.connect !== undefined) return undefined
  return { Agent: dispatcher.constructor, options }
}
