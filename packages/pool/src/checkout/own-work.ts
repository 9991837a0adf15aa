/**
 * What the pool does for itself beside its callers' statements: it asks what became of a write whose answer was lost, and ends sessions that were left behind. `end()` waits for it as for the clients in
 * use, and lets it open connections meanwhile.
 */

import { type Clock, resumeInvocation, startDeadline } from '@thaw/core'
import { hasSessionState } from '../connection/session-state.ts'
import type { ConnectCallback, PeerClient, PeerPool, Release } from '../driver/peer.ts'
import type { Waiter } from '../driver/waiter.ts'

export interface Borrowed {
  readonly client: PeerClient
  readonly release: Release
}

/** Takes a connection, also while the pool ends. Returns how to withdraw the request. */
type Connect = (callback: ConnectCallback) => () => void

/** Asks the server to stop working on the client's statement. */
interface Canceller {
  cancel(client: PeerClient): void
}

/** Asks a server that refused a write whether it is a standby. */
interface RoleWatch {
  isStandby(client: PeerClient): Promise<boolean>
  forget(): void
}

const NO_CONNECTION = 'No connection was available in time'

export class OwnWork {
  readonly #pool: PeerPool<Waiter>
  readonly #connect: Connect
  readonly #canceller: Canceller
  /** Of the server, when it refuses a write. */
  readonly roles: RoleWatch
  #count = 0
  #isTurnedOut = false

  constructor(pool: PeerPool<Waiter>, connect: Connect, canceller: Canceller, roles: RoleWatch) {
    this.#pool = pool
    this.#connect = connect
    this.#canceller = canceller
    this.roles = roles
  }

  /** The end of the pool has to wait. */
  get isUnderWay(): boolean {
    return this.#count > 0 && !this.#isTurnedOut
  }

  /** From now on the pool waits for it. Returns the function that says that it is over. */
  begin(): () => void {
    this.#count++
    return () => {
      this.#count--
      if (this.#count === 0 && this.#pool.ending) this.#pool._pulseQueue()
    }
  }

  cancel(client: PeerClient): void {
    this.#canceller.cancel(client)
  }

  /** The pool has ended, or waits no longer. */
  get isTurnedOut(): boolean {
    return this.#isTurnedOut || this.#pool.ended
  }

  /** The time in which the pool had to end is up. */
  turnOut(): void {
    this.#isTurnedOut = true
  }

  /**
   * Without the wrappers of tracing tools, and no client of the invocation: its handler does not have to release it, and a client that hangs up does not end
   * the wait. One in which a caller has left a `search_path` or a role would answer for another table, or be refused: it is closed, and another one is taken.
   */
  borrow(clock: Clock, timeoutMillis: number): Promise<Borrowed> {
    return new Promise((resolve, reject) => {
      if (this.isTurnedOut) return reject(new Error(NO_CONNECTION))
      let isOver = false
      const deadline = startDeadline(clock, timeoutMillis, () => {
        isOver = true
        withdraw()
        reject(new Error(NO_CONNECTION))
      })
      const answered: ConnectCallback = (error, client, release) => {
        if (!isOver && client && hasSessionState(client)) {
          release(true)
          return take()
        }
        deadline.cancel()
        if (isOver) release()
        else if (error || !client) reject(error)
        else resolve({ client, release })
      }
      let withdraw = () => {}
      const take = () => {
        withdraw = resumeInvocation(undefined, () => this.#connect(answered))
      }
      take()
    })
  }
}

const works = new WeakMap<object, OwnWork>()

/** Each pool has one, once it can be connected. */
export function noteOwnWork(pool: PeerPool<Waiter>, connect: Connect, canceller: Canceller, roles: RoleWatch): void {
  works.set(pool, new OwnWork(pool, connect, canceller, roles))
}

export function ownWorkOf(pool: object): OwnWork | undefined {
  return works.get(pool)
}
