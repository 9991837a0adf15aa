/** Closes the connections of a pool, ours or a plain `pg.Pool`. */

import { startDeadline, systemClock, trackedPoolOf } from '@thaw/core'

/** How long a server may take to close its end of a connection that we have ended, before we close ours by force. */
const CLOSE_MILLIS = 1000

interface Lent {
  once(event: 'end', listener: () => void): unknown
  release(destroy?: boolean): void
  /** Not in its public types. */
  readonly connection?: { readonly stream: { destroy(): unknown } }
}

/** What is needed of a pool: the `Pool` of `@thaw/pg` and of `pg` both fit. */
export interface EndablePool {
  readonly idleCount: number
  connect(): Promise<Lent>
  end(): Promise<void>
}

/** Closes what is idle, and resolves when the sockets are closed. The pool stays open. */
export async function closeIdle(pool: EndablePool): Promise<void> {
  const member = trackedPoolOf(pool)
  if (member) return member.closeIdle()
  // pg-pool has no such method. It hands out each idle client at once, dead or alive, and destroys one that is released with `true`.
  const clients = await Promise.all(Array.from({ length: pool.idleCount }, () => pool.connect()))
  await Promise.all(
    clients.map((client) => {
      const closed = new Promise<void>((resolve) => client.once('end', () => resolve()))
      client.release(true)
      const deadline = startDeadline(systemClock, CLOSE_MILLIS, () => client.connection?.stream.destroy())
      return closed.then(() => deadline.cancel())
    }),
  )
}
