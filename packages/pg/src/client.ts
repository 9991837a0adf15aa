/** pg's Client, watched from its construction on. */

import { behindProxies, connectAlone, isMadeByPool, optionsAlone, type PeerClient, tell, watchAlone, watchedClient } from '@thaw/pool'
import pg from 'pg'
import { driver } from './driver.ts'
import type { TakesOptions } from './drop-in-pool.ts'
import type { ClientConfig } from './pool-config.ts'

type ClientClass = Omit<typeof pg.Client, never> & (new (config?: string | ClientConfig) => pg.Client & TakesOptions)

type Connected = Parameters<typeof tell>[1]
type Base = new (options?: object | string) => { connect(callback?: Connected): Promise<unknown> }

const Watched = watchedClient(pg.Client) as Base

/** A class of its own, so that `connect` keeps the type that it has in whatever version of @types/pg there is. */
class Lone extends Watched {
  /** Undefined: one host, whatever it is. */
  readonly #several: object | undefined

  constructor(config?: object | string) {
    const isPools = isMadeByPool()
    // Not on Workers, as for a pool.
    const options = isPools ? config : optionsAlone(config, !('WebSocketPair' in globalThis))
    super(options)
    if (isPools) return
    watchAlone(this as unknown as PeerClient, driver, options)
    if (options !== config) this.#several = options as object
  }

  override connect(callback?: Connected): Promise<unknown> {
    if (!this.#several) return super.connect(callback)
    const work = connectAlone(this as unknown as PeerClient, this.#several, driver.Client, () => super.connect())
    return tell(work, callback, this) as Promise<unknown>
  }
}

const Alone = behindProxies(Lone) as unknown as ClientClass

/**
 * `pg.Client` that never loses a statement silently, and cannot end the process.
 *
 * - An `error` event without a listener, from a socket that died between two statements, is not thrown.
 * - After a silence (`trustMillis`, 500 by default), the socket is polled and the connection probed before the next statement is sent. If it
 *   is dead, the statement fails as not executed; one that says nothing is waited for ten times `probeTimeoutMillis`, which is ten seconds.
 *   The client is never reconnected behind its owner's back.
 * - A statement whose connection is lost fails with `ConnectionLostError` or `OutcomeUnknownError`, and the `error` event has the same error.
 * - `query_timeout` and `signal` end the statement at the server too.
 * - `connectionTimeoutMillis` does not count the time for which the process was frozen.
 * - P-256 is offered first to TLS servers.
 * - Several hosts and `target_session_attrs`, as for a pool: another connection looks for the host, and is closed. `connectionTimeoutMillis` is for
 *   each host.
 *
 * A pool's clients are of this class, too, and the pool watches them. Use it where you would use `pg.Client`: for one long-lived connection,
 * for `LISTEN`, or as the `Client` option of a `pg.Pool` that another library makes: an idle client of such a pool that dies does not end the
 * process either, though that pool has no `error` listener.
 */
export class Client extends Alone {
  /** Survives minifiers: ORMs look at class names. Not a field: webpack's minifier turns it into an assignment, which throws. */
  static override get name(): string {
    return 'Client'
  }

  /** @throws {OptionError} naming what is wrong with `connectionString`, `port`, a list of hosts, `target_session_attrs`, `trustMillis` or `probeTimeoutMillis`. */
  constructor(config?: string | ClientConfig) {
    super(config)
  }
}
