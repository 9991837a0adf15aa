/**
 * Makes sure that a pool has no idle connection when its instance is suspended: at the server, each would be a session that is never used
 * again and never ended. Keeps the instance awake from a connection's first use until the pool has been unused for its idle timeout and its
 * idle connections are closed.
 */

import { type Clock, type Deadline, POOL_USES, type PoolUses, read, startAbsoluteDeadline, startDeadline } from '@thaw/core'
import { endOf, holdInstance, type RequestContext, requestContext } from './context.ts'
import type { PeerClient, PeerPool } from './peer-pool.ts'

/** For a pool whose own idle timeout is off: an instance cannot be kept awake forever. Thaw's default on Vercel. */
const QUIET_MILLIS = 5_000
/** pg-pool's own idle timer fires first. */
const SLACK_MILLIS = 100
/**
 * Before the deadline of the invocation that keeps the instance awake. Ending a connection takes a round trip; Vercel's own
 * `attachDatabasePool` leaves as much.
 */
const MARGIN_MILLIS = 1_000
/** How long a server may take to close its end of a connection that we have ended, before we close ours by force. */
const CLOSE_MILLIS = 1_000

/** From the first use of a pool until it is drained. */
interface Hold {
  readonly drained: Promise<void>
  readonly end: () => void
  /** The requests whose invocations it keeps open. */
  readonly holders: WeakSet<RequestContext>
  /** When the last of them will be ended, by the wall clock. Infinity: one does not say. Minus infinity: there are none. */
  heldUntil: number
  /** The pool has been unused for long enough: idle connections are being closed. */
  isClosing: boolean
}

/** What is known of a connection that the server may still have. */
interface Use {
  isLent: boolean
  /** The request that acquired it. */
  context: RequestContext | undefined
}

/** Watches one pool: Thaw's as a platform does, any other through its events. */
export class Drain {
  readonly #pool: PeerPool
  readonly #clock: Clock
  readonly #uses = new Map<PeerClient, Use>()
  #hold: Hold | undefined
  #alarm: Deadline | undefined
  #quietAt = 0
  #isTerminating = false
  #emptied: (() => void) | undefined

  constructor(pool: PeerPool, clock: Clock) {
    this.#pool = pool
    this.#clock = clock
    for (const client of pool._clients) this.#useOf(client).isLent = pool._idle.every((item) => item.client !== client)
    this.#listen(pool)
    // Used before anything watched: outside a request it is closed now, because it may never be used again. Not by a timer: a request that
    // does not use the pool does not keep the instance awake for it.
    const context = requestContext()
    this.hold(context)
    if (!context) queueMicrotask(() => this.closeIdle())
  }

  #listen(pool: PeerPool): void {
    const uses: PoolUses = {
      opened: (client) => this.#useOf(client as PeerClient),
      acquired: (client) => {
        const context = requestContext()
        Object.assign(this.#useOf(client as PeerClient), { isLent: true, context })
        this.hold(context)
      },
      shared: () => this.hold(requestContext()),
      released: (client) => this.#released(this.#useOf(client as PeerClient)),
    }
    if (POOL_USES in pool) {
      pool[POOL_USES] = uses
      return
    }
    pool.on('connect', uses.opened)
    pool.on('acquire', uses.acquired)
    pool.on('release', (_error, client) => uses.released(client))
  }

  #released(use: Use): void {
    // Not the current context: a release may be called from the socket, and the socket belongs to the request that opened it.
    const context = use.context ?? requestContext()
    Object.assign(use, { isLent: false, context: undefined })
    this.hold(context)
    const isHeld = this.#hold !== undefined && this.#hold.heldUntil > this.#clock.wall()
    // A release may be told before the client counts as idle.
    if (this.#isTerminating || !isHeld) queueMicrotask(() => this.closeIdle())
  }

  /** Keeps the instance awake, through this request too, until the pool is drained. Each call postpones the drain by the pool's idle timeout. */
  hold(context: RequestContext | undefined): void {
    if (this.#uses.size === 0) return
    this.#hold ??= createHold()
    const hold = this.#hold
    hold.isClosing = false
    this.#quietAt = this.#clock.mono() + (Number(this.#pool.options.idleTimeoutMillis) || QUIET_MILLIS) + SLACK_MILLIS
    if (context?.waitUntil && !hold.holders.has(context)) {
      hold.holders.add(context)
      hold.heldUntil = Math.max(hold.heldUntil, endOf(context) ?? Number.POSITIVE_INFINITY)
      holdInstance(context, hold.drained)
    }
    this.#alarm ??= this.#setAlarm(hold)
  }

  /** From here on, every connection that is idle or becomes idle is closed at once. Resolves when the server has no connection left. */
  async terminate(): Promise<void> {
    this.#isTerminating = true
    this.closeIdle()
    if (this.#uses.size === 0) return
    await new Promise<void>((resolve) => {
      this.#emptied = resolve
    })
  }

  /** Closes the connections that are idle. The pool itself stays open. */
  closeIdle(): void {
    // A waiting caller gets these.
    if (this.#pool.waitingCount > 0) return
    for (const { client } of [...this.#pool._idle]) {
      const deadline = startDeadline(this.#clock, CLOSE_MILLIS, () => client.connection?.stream.destroy())
      client.once('end', () => deadline.cancel())
      this.#pool._remove(client)
    }
  }

  /** The client's record. The first call begins to watch for its end. */
  #useOf(client: PeerClient): Use {
    const known = this.#uses.get(client)
    if (known) return known
    const use: Use = { isLent: false, context: undefined }
    this.#uses.set(client, use)
    client.once('end', () => {
      this.#uses.delete(client)
      if (this.#uses.size === 0) this.#emptied?.()
      this.#settle()
    })
    return use
  }

  /** One timer for any number of uses: if it fires too early, it is set again. */
  #setAlarm(hold: Hold): Deadline {
    const { mono, wall } = read(this.#clock)
    const millis = Math.max(0, Math.min(this.#quietAt - mono, hold.heldUntil - MARGIN_MILLIS - wall))
    return startAbsoluteDeadline(
      this.#clock,
      millis,
      () => {
        this.#alarm = undefined
        if (this.#hold !== hold) return
        if (!this.#isDue(hold) || this.#pool.waitingCount > 0) {
          this.#alarm = this.#setAlarm(hold)
          return
        }
        hold.isClosing = true
        this.closeIdle()
        this.#settle()
      },
      true,
    )
  }

  #isDue(hold: Hold): boolean {
    const { mono, wall } = read(this.#clock)
    return mono >= this.#quietAt || wall >= hold.heldUntil - MARGIN_MILLIS
  }

  /** A connection in use does not keep the instance awake: its request does that. If it was forgotten, it would do so forever. */
  #settle(): void {
    const hold = this.#hold
    if (!hold || ![...this.#uses.values()].every(({ isLent }) => hold.isClosing && isLent)) return
    this.#hold = undefined
    this.#alarm?.cancel()
    this.#alarm = undefined
    hold.end()
  }
}

function createHold(): Hold {
  let end = () => {}
  const drained = new Promise<void>((resolve) => {
    end = resolve
  })
  return { drained, end, holders: new WeakSet(), heldUntil: Number.NEGATIVE_INFINITY, isClosing: false }
}
