/**
 * Statements whose connection falls silent under them. The door cannot see it: the connection was good when it was lent. Looks once a second,
 * and only while somebody has a client; asks the server itself before it accuses anything.
 */

import { type Clock, startDeadline, type Timer } from '@thaw/core'
import type { Driver } from './driver.ts'
import { wireError } from './errno.ts'
import type { Memory } from './home.ts'
import type { Settings } from './options.ts'
import { activeQueryOf, type PeerClient, type PeerQuery, queuedQueriesOf } from './peer.ts'
import { isBroken, type Vitals } from './vitals.ts'

/** What the watch needs of its pool. */
export interface WatchHost {
  readonly driver: Pick<Driver, 'Client' | 'Query'>
  readonly settings: Settings
  readonly memory: Memory
  clients(): readonly PeerClient[]
  vitalsOf(client: PeerClient): Vitals
  /** What a client of the pool is made of. */
  clientOptions(): object
}

/** How often it looks. A statement is asked after when it has waited for a whole interval without a byte. */
const INTERVAL_MILLIS = 1000
/** A statement that was found busy is asked after again when it has waited twice as long, but at least this often. */
const MOST_PAUSE_MILLIS = 30_000
/** How long the question may take, dial included. Without an answer nothing is known, and nothing is done. */
const ASK_MILLIS = 5000

/**
 * Is the backend still at work? Ages instead of times, since two machines' clocks differ: a backend that is younger than our connection is
 * another one with the same pid. One that waits for us to read or to write is not at work for us either: we have sent everything, and read
 * everything that came. One of which nothing is known (track_activities is off) may be at work.
 */
const IS_BUSY = `
  SELECT pg_backend_pid() AS asker, EXISTS (
    SELECT FROM pg_stat_activity
    WHERE pid = $1 AND clock_timestamp() - backend_start > make_interval(secs => $2)
      AND (state LIKE 'idle%' OR state = 'active' AND wait_event IN ('ClientWrite', 'ClientRead')) IS NOT TRUE) AS busy`

/** What was seen of a client's statement at the last look. */
interface Sight {
  readonly query: PeerQuery
  readonly bytesRead: number
  /** Until when it is left alone. */
  readonly pauseUntil: number
  readonly pauseMillis: number
}

export class InFlightWatch {
  readonly #host: WatchHost
  readonly #sights = new Map<PeerClient, Sight>()
  readonly #clock: Clock
  #timer: Timer | undefined

  constructor(host: WatchHost) {
    this.#host = host
    this.#clock = host.settings.clock
  }

  /** Somebody has a client. Costs nothing while the timer runs anyway. */
  start(): void {
    // Of a pooler's pids there is nobody to ask.
    if (this.#timer !== undefined || this.#host.memory.isDirect === false) return
    this.#timer = this.#clock.setTimer(() => this.#look(), INTERVAL_MILLIS, true)
  }

  stop(): void {
    if (this.#timer !== undefined) this.#clock.clearTimer(this.#timer)
    this.#timer = undefined
    this.#sights.clear()
  }

  #look(): void {
    this.#timer = undefined
    const lent = this.#host.clients().filter((client) => this.#host.vitalsOf(client).lent)
    for (const client of this.#sights.keys()) if (!lent.includes(client)) this.#sights.delete(client)
    if (lent.length === 0) return
    for (const client of lent) this.#lookAt(client)
    this.start()
  }

  #lookAt(client: PeerClient): void {
    const query = awaited(client)
    const { bytesRead, isPaused } = client.connection?.stream ?? {}
    // A cursor may be waiting for its reader, and a stream for its writer: of these nobody can say who is late.
    if (
      !(query instanceof this.#host.driver.Query) ||
      bytesRead === undefined ||
      isPaused?.call(client.connection.stream) ||
      isBroken(client)
    ) {
      this.#sights.delete(client)
      return
    }
    const now = this.#clock.mono()
    const before = this.#sights.get(client)
    if (before?.query !== query || before.bytesRead !== bytesRead) {
      this.#sights.set(client, { query, bytesRead, pauseUntil: now, pauseMillis: INTERVAL_MILLIS })
      return
    }
    if (now < before.pauseUntil) return
    const pauseMillis = Math.min(MOST_PAUSE_MILLIS, before.pauseMillis * 2)
    this.#sights.set(client, { query, bytesRead, pauseUntil: now + pauseMillis, pauseMillis })
    void this.#askAfter(client, query, bytesRead)
  }

  async #askAfter(client: PeerClient, query: PeerQuery, bytesRead: number): Promise<void> {
    // Since it is ready, for a dial may take long; and not by the wall clock, which somebody may set.
    const now = this.#clock.mono()
    const ageSeconds = (now - (this.#host.vitalsOf(client).readySince ?? now)) / 1000
    const busy = await this.#isBusy(client.processID ?? 0, ageSeconds - 1).catch(() => undefined)
    if (busy !== false) return
    const isSilent = () => awaited(client) === query && client.connection.stream.bytesRead === bytesRead
    // The answer may be on its way: a lost packet is repeated after 200 ms. A probe's time is enough for that.
    startDeadline(this.#clock, this.#host.settings.probeTimeoutMillis, () => {
      if (isSilent()) client.connection.stream.destroy(fellSilent())
    })
  }

  /** Undefined: it cannot be known. */
  async #isBusy(pid: number, ageSeconds: number): Promise<boolean | undefined> {
    // Not a spread: pg-pool hides the password by making it non-enumerable.
    const options = Object.defineProperties({}, Object.getOwnPropertyDescriptors(this.#host.clientOptions()))
    const asker = new this.#host.driver.Client(Object.assign(options, { connectionTimeoutMillis: ASK_MILLIS }))
    asker.on('error', () => {})
    const deadline = startDeadline(this.#clock, ASK_MILLIS, () => asker.connection.stream.destroy(), true)
    try {
      await asker.connect()
      const { rows } = await asker.query<{ asker: number; busy: boolean }>(IS_BUSY, [pid, Math.max(0, ageSeconds)])
      const [row] = rows
      if (!row) return undefined
      const isDirect = row.asker === asker.processID
      this.#host.memory.isDirect = isDirect
      return isDirect ? row.busy : undefined
    } finally {
      // Its goodbye is bounded as well, and keeps no process alive.
      asker.once('end', () => deadline.cancel())
      asker.unref?.()
      asker.end().catch(() => {})
    }
  }
}

/** The statement that is waited for: the one that runs, or the first behind one whose error has come, if the server is not ready yet. */
function awaited(client: PeerClient): PeerQuery | undefined {
  return activeQueryOf(client) ?? (client.readyForQuery === false ? queuedQueriesOf(client)[0] : undefined)
}

function fellSilent(): Error {
  return wireError('ETIMEDOUT', 'Connection fell silent: the server is not working on the statement, but no answer came')
}
