/** How long a caller waits for a connection, and which error it gets on timeout. Remembers why the last connection attempt failed. */

import { codeOf, type Events } from '@thaw/core'
import { acquireTimeout, connectError, invocationOver, mayBeMistaken } from '../connect/dial-failure.ts'
import type { Dial, UnderWay } from '../connect/dialer.ts'
import { adviceWhereNothingWasGiven } from '../connect/missing-url.ts'
import { adviceOnUrl, isUnreadable, mayShowPassword } from '../connect/unreadable-url.ts'
import { type Target, wasReached } from '../driver/endpoints.ts'
import type { PeerClient, PeerPool, PendingItem } from '../driver/peer.ts'
import type { Settings } from '../options/options.ts'
import { Growth } from './growth.ts'

/** An address that has never answered in this process may contain a typo, see `mayBeMistaken`: that must not cost ten seconds. */
const UNREACHED_MILLIS = 800

/** What the pool was doing for a caller whose time is up. */
export interface Efforts {
  /** Idle connections that have been probed, and have not replied. */
  readonly probes: number
  readonly dials: number
  /** The longest-running connection attempt. */
  readonly underWay: UnderWay | undefined
}

export class WaitLimit {
  /** Lets a pool grow in which waiting callers might otherwise never be served. */
  readonly growth: Growth
  readonly #events: Events
  readonly #options: PeerPool<PendingItem>['options']
  #lastFailure: { readonly error: Error; readonly dial: Dial } | undefined

  constructor(pool: PeerPool<PendingItem>, settings: Settings, events: Events, isPoolQuery: (client: PeerClient) => boolean) {
    this.#events = events
    this.growth = new Growth(pool, settings, isPoolQuery)
    this.#options = pool.options
  }

  failed(error: Error, dial: Dial): void {
    this.#lastFailure = { error, dial }
  }

  succeeded(): void {
    this.#lastFailure = undefined
  }

  /** Shorter while the address may be wrong. Infinity: forever. */
  get millis(): number {
    const { error, dial } = this.#lastFailure ?? {}
    const isShort = dial?.target && !dial.isListRight && !wasReached(dial.target) && mayBeMistaken(error, dial.target)
    return isShort ? Math.min(this.#timeoutMillis, UNREACHED_MILLIS) : this.#timeoutMillis
  }

  get #timeoutMillis(): number {
    return Number(this.#options.connectionTimeoutMillis) || Number.POSITIVE_INFINITY
  }

  /** `isOver`: the invocation's deadline has passed, not only this caller's timeout. */
  timeUp(waitedMillis: number, isOver: boolean, efforts: Efforts): Error {
    this.#events.emit({ type: 'timedOut', waitedMillis })
    const error = this.#waitedInVain(waitedMillis, efforts)
    return isOver ? invocationOver(error, waitedMillis) : error
  }

  #waitedInVain(waitedMillis: number, { probes, dials, underWay }: Efforts): Error {
    const failed = this.#lastFailure
    const { connectionString } = this.#options as { readonly connectionString?: unknown }
    const advice = adviceOnUrl(connectionString) ?? adviceWhereNothingWasGiven(this.#options)
    const hidesPlace = mayShowPassword(connectionString)
    const error = failed && (hidesPlace ? bare(failed.error) : failed.error)
    const shown = (to: Target | undefined) => {
      if (!to || hidesPlace) return undefined
      return isUnreadable(connectionString) ? { ...to, database: '' } : to
    }
    if (failed?.dial.target && waitedMillis < this.#timeoutMillis) {
      const { attempts, stage, target, hosts } = failed.dial
      return connectError(error, shown(target), attempts, waitedMillis, stage, advice, hosts)
    }
    const stage = probes > 0 ? 'probe' : failed || dials > 0 ? 'connect' : 'wait'
    const dial = failed?.dial ?? underWay
    return acquireTimeout(
      stage,
      waitedMillis,
      this.#options.max,
      shown(dial?.target),
      error,
      dial?.stage,
      this.growth.atRest,
      failed?.dial.hosts,
      underWay?.passwordMillis,
      advice,
    )
  }
}

/** Without where it went. */
function bare(error: Error): Error {
  const code = codeOf(error)
  return Object.assign(new Error(code ?? 'no reason given'), code === undefined ? {} : { code })
}
