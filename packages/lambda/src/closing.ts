/** Closing the connections of a pool, ours or a plain `pg.Pool`. */

import { startDeadline, systemClock, trackedPoolOf } from '@thaw/core'

/** How long a server may take to close its end of a connection that we have left, before we close ours by force. */
const CLOSE_MILLIS = 1000

interface Lent {
  once(event: 'end', listener: () => void): unknown
  release(destroy?: boolean): void
  /** Not in its public types. */
  readonly connection?: { readonly stream: { destroy(): unknown } }
}

/** What is needed of a pool: `Pool` of `@thaw/pg` and of `pg` fit. */
export interface EndablePool {
  readonly idleCount: number
  connect(): Promise<Lent>
  end(): Promise<void>
}

/** Closes what is idle, and resolves when the sockets are closed. The pool stays open. */
export async function closeIdle(pool: EndablePool): Promise<void> {
  const member = trackedPoolOf(pool)
  if (member) return member.closeIdle()
  // pg-pool has no such method. It lends each idle client at once, whatever has become of it, and destroys what comes back so.
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
