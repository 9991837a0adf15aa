/** The connection of a `pool.query()`, released by a former caller of its client, for the second time. */

import { RELEASED_TWICE } from '../connection/client-messages.ts'
import type { Release } from '../driver/peer.ts'

/** The same, but it does not throw then: the statement has its answer, and its caller is to get it. The connection waits for the statement by itself. */
export function unlessReleased(release: Release): Release {
  return (error) => {
    try {
      release(error)
    } catch (thrown) {
      if ((thrown as Error).message !== RELEASED_TWICE) throw thrown
    }
  }
}
