/** pg's Client, watched from its construction on. */

import { connectAlone, optionsAlone, type PeerClient, tell, watchAlone, watchedClient } from '@thaw/pool'
import pg from 'pg'
import { driver } from './driver.ts'
import type { QueryWithOptions } from './drop-in-pool.ts'

type ClientClass = Omit<typeof pg.Client, never> &
  (new (
    config?: string | pg.ClientConfig,
  ) => pg.Client & { query: pg.Client['query'] & QueryWithOptions })

const Watched = watchedClient(pg.Client) as ClientClass

/**
 * `pg.Client` that never loses a statement silently, and cannot end the process.
 *
 * - An `error` event without a listener, from a socket that died between two statements, is not thrown.
 * - After a silence, the socket is polled and the connection probed before the next statement is sent. If it is dead, the statement fails
 *   as not executed. The client is never reconnected behind its owner's back.
 * - A statement whose connection is lost fails with `ConnectionLostError` or `OutcomeUnknownError`.
 * - `query_timeout` and `signal` end the statement at the server too.
 * - P-256 is offered first to TLS servers.
 * - Several hosts and `target_session_attrs`, as for a pool.
 *
 * A pool watches its clients by itself. Use this class where you would use `pg.Client`: for one long-lived connection, for `LISTEN`, or as
 * the `Client` option of a pool that another library makes.
 */
export class Client extends Watched {
  /** Survives minifiers: ORMs look at class names. Not a field: webpack's minifier turns it into an assignment, which throws. */
  static override get name(): string {
    return 'Client'
  }

  /** Undefined: one host, whatever it is. */
  readonly #several: object | undefined

  /** @throws {OptionError} naming what is wrong with a list of hosts, or with `target_session_attrs`. */
  constructor(config?: string | pg.ClientConfig) {
    const options = optionsAlone(config, canChooseHost()) as typeof config
    super(options)
    watchAlone(this as unknown as PeerClient, driver, options)
    if (options !== config) this.#several = options as object
  }

  /** With several hosts, another connection looks for the one to connect to, and is closed. `connectionTimeoutMillis` is for each host. */
  override connect(): Promise<pg.Client>
  override connect(callback: ((error: Error) => void) | ((error: null, client: pg.Client) => void)): void
  override connect(callback?: (...values: never[]) => void): unknown {
    if (!this.#several) return super.connect(callback as () => void)
    const work = connectAlone(this as unknown as PeerClient, this.#several, driver.Client, () => super.connect())
    return tell(work, callback as Parameters<typeof tell>[1], this)
  }
}

/** Not on Workers, as for a pool. */
function canChooseHost(): boolean {
  return !('WebSocketPair' in globalThis)
}
