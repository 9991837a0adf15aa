/**
 * The connections beside the pool's own. One asks a server about our backends: one query at a time for the whole pool, however many statements
 * are silent. And each statement that is given up is cancelled on one, which takes the place of the statement's connection until it is closed.
 */

import { type Deadline, type Reading, read, startDeadline } from '@thaw/core'
import { optionsLike } from '../connect/host-facts.ts'
import { takePasswordFunction } from '../connect/password-function.ts'
import { mayMiss } from '../connection/behind-own.ts'
import { BACKEND_START, POSTMASTER_START, SYSTEM, TIMELINE } from '../connection/known-backend.ts'
import type { Memory } from '../connection/pool-context.ts'
import { isBroken } from '../connection/vitals.ts'
import type { Driver } from '../driver/driver.ts'
import { nextTick } from '../driver/next-tick.ts'
import { activeQueryOf, type PeerClient, type PeerPool, type PendingItem } from '../driver/peer.ts'
import { streamOf } from '../driver/socket.ts'
import type { Settings } from '../options/options.ts'
import { type Address, aim } from './address.ts'
import { requestCancel } from './cancel-request.ts'
import type { Backend, Presence, Span } from './evidence.ts'

export interface InquirerHost {
  readonly driver: Pick<Driver, 'Client' | 'connectionFor' | 'goesWhereTold'>
  readonly settings: Settings
  readonly memory: Memory
  readonly pool: PeerPool<PendingItem>
}

export interface Answer {
  readonly backends: ReadonlyMap<number, Backend>
  readonly asked: Span
  /** Undefined: not asked, or not told. */
  readonly presence: Presence | undefined
}

/** For requests that may miss the statement. Its client is closed, so that they strike nothing else. */
const AGAIN_MILLIS = [50, 200, 800]
/** How often it is looked whether a hedge has left room for a cancel. */
const ROOM_MILLIS = 20
/** How long this may take, connecting included. Without an answer nothing is known, and nothing is done. */
const ASK_MILLIS = 5000

/** Ours, by user and database. As text, whatever parsers the user has set. */
const FIND = `
  SELECT pg_backend_pid()::text AS asker, pid::text, state, wait_event, client_port::text AS port,
    extract(epoch FROM clock_timestamp() - backend_start)::text AS age,
    extract(epoch FROM clock_timestamp() - state_change)::text AS state_age,
    extract(epoch FROM clock_timestamp() - query_start)::text AS query_age
  FROM (SELECT) AS one LEFT JOIN pg_stat_activity
    ON pid = ANY ($1::int[]) AND usename = session_user AND datname = current_database()`

/** Of every owner: a backend that is not seen here is not there. The asker sees itself, which shows that it would see them. */
const PRESENT = `
  SELECT pg_backend_pid()::text AS asker, ${POSTMASTER_START} AS server, ${SYSTEM}, ${TIMELINE}, pid::text, ${BACKEND_START} AS began
  FROM pg_stat_activity WHERE pid = ANY ($1::int[]) OR pid = pg_backend_pid()`

interface PresentRow {
  readonly asker: string
  readonly server: string
  readonly system: string | null
  readonly timeline: string | null
  readonly pid: string
  readonly began: string | null
}

interface Row {
  readonly asker: string
  readonly pid: string | null
  readonly state: string | null
  readonly wait_event: string | null
  readonly port: string | null
  readonly age: string | null
  readonly state_age: string | null
  readonly query_age: string | null
}

export class Inquirer {
  readonly #host: InquirerHost
  #asker: PeerClient | undefined
  #cancels = 0
  /** Those that wait until there is room for their connection. */
  readonly #waiting: (() => void)[] = []
  #later: Deadline | undefined

  constructor(host: InquirerHost) {
    this.#host = host
  }

  get count(): number {
    return this.#cancels + (this.#asker ? 1 : 0)
  }

  /** May it ask? A pool never has more than one connection above `max`: not beside a hedge. */
  get mayAsk(): boolean {
    const { _clients, options } = this.#host.pool
    return !this.#asker && _clients.length + this.count <= options.max
  }

  /** The client is about to be closed: asks the server to stop working on its statement, if there is one. */
  cancel(client: PeerClient): void {
    if (!activeQueryOf(client) || isBroken(client)) return
    this.#cancel(client, mayMiss(client, this.#host.settings.clock) ? AGAIN_MILLIS : [])
  }

  /** And again after these pauses. */
  #cancel(client: PeerClient, [pause, ...pauses]: readonly number[]): void {
    const { driver, settings, pool } = this.#host
    this.#cancels++
    const done = () => {
      this.#cancels--
      this.#openNext()
      if (pause !== undefined) startDeadline(settings.clock, pause, () => this.#cancel(client, pauses), true)
      // Callers for whom there was no room meanwhile.
      pool._pulseQueue()
    }
    const soon = (open: () => void) => {
      this.#waiting.push(open)
      // If the client is closed, its socket is by then, and its place is this connection's.
      nextTick(() => this.#openNext())
    }
    requestCancel(client, settings.clock, driver, pool.options, done, soon)
  }

  /** A client that is not closed, such as that of a write under a key, keeps its place: its cancels go one after the other. */
  #openNext(): void {
    const { pool } = this.#host
    const open = pool._clients.filter((client) => streamOf(client)?.destroyed !== true).length
    while (this.#waiting.length > 0 && open + this.count - this.#waiting.length <= pool.options.max) this.#waiting.shift()?.()
    // A hedge has the room, and nothing of ours ends that would call for the next one.
    if (this.#waiting.length === 0 || this.count > this.#waiting.length) return
    this.#later ??= startDeadline(
      this.#host.settings.clock,
      ROOM_MILLIS,
      () => {
        this.#later = undefined
        this.#openNext()
      },
      true,
    )
  }

  /**
   * Resolves when the extra connection has been closed. Undefined: nothing is known. Never rejects.
   *
   * @param clients whose backends they are: all of one address.
   * @param isAcquainted is it known of one of them which server it is on?
   */
  async ask(address: Address | undefined, clients: readonly PeerClient[], isAcquainted: boolean): Promise<Answer | undefined> {
    const { driver, settings, pool } = this.#host
    const { stream } = pool.options as { readonly stream?: unknown }
    // A stream that the user made, as opposed to a function that makes them, is already in use.
    if (stream !== undefined && typeof stream !== 'function') return undefined
    try {
      // TLS verifies the name by which that server was reached, and a password function is told it.
      const like = clients[0] ? optionsLike(clients[0], pool.options) : pool.options
      // Not a spread: pg-pool hides the password by making it non-enumerable.
      const options = Object.defineProperties({}, Object.getOwnPropertyDescriptors(like))
      // Not by the driver's timer, which counts the time asleep.
      const asker = new driver.Client(Object.assign(options, { connectionTimeoutMillis: 0 }))
      takePasswordFunction(asker, pool.options)
      this.#asker = asker
      asker.on('error', () => {})
      let deadline: Deadline | undefined
      const ended = new Promise<void>((resolve) => {
        asker.once('end', resolve)
        const giveUp = () => {
          asker.connection.stream.destroy()
          resolve()
        }
        deadline = startDeadline(settings.clock, ASK_MILLIS, giveUp, true)
      })
      aim(asker.connection, address, (made) => stream === undefined || driver.goesWhereTold(made))
      const pids = clients.map(({ processID }) => processID ?? 0)
      const answer = await this.#question(asker, pids, isAcquainted).catch(() => undefined)
      // Closing it is bounded as well, and does not keep the process alive.
      asker.unref?.()
      asker.end().catch(() => {})
      await ended
      deadline?.cancel()
      return answer
    } catch {
      // The user's factory may throw.
      return undefined
    } finally {
      this.#asker = undefined
      this.#openNext()
      // Callers for whom there was no room for a hedge meanwhile.
      pool._pulseQueue()
    }
  }

  stop(): void {
    this.#asker?.connection.stream.destroy()
  }

  async #question(asker: PeerClient, pids: readonly number[], isAcquainted: boolean): Promise<Answer | undefined> {
    const { settings, memory } = this.#host
    await asker.connect()
    const from: Reading = read(settings.clock)
    const { rows } = await asker.query<Row>(FIND, [pids])
    const to = read(settings.clock)
    // A pooler makes up the PIDs that it reports.
    memory.isDirect = Number(rows[0]?.asker) === asker.processID
    if (!memory.isDirect) return undefined
    const presence = isAcquainted ? await this.#presence(asker, pids).catch(() => undefined) : undefined
    return { backends: new Map(rows.map((row) => [Number(row.pid), backendOf(row)])), asked: { from, to }, presence }
  }

  async #presence(asker: PeerClient, pids: readonly number[]): Promise<Presence | undefined> {
    const { rows } = await asker.query<PresentRow>(PRESENT, [pids])
    const itself = rows.find(({ asker: own, pid }) => own === pid && Number(own) === asker.processID)
    if (!itself?.began || !itself.server) return undefined
    const { server, system, timeline } = itself
    return { server: { system, timeline, startedAt: server }, began: new Map(rows.map(({ pid, began }) => [pid, began])) }
  }
}

function backendOf({ state, wait_event, port, age, state_age, query_age }: Row): Backend {
  return {
    state: state ?? '',
    waitEvent: wait_event ?? '',
    clientPort: numberOf(port),
    ageSeconds: numberOf(age),
    stateSeconds: numberOf(state_age),
    querySeconds: numberOf(query_age),
  }
}

function numberOf(text: string | null): number {
  return text === null ? Number.NaN : Number(text)
}
