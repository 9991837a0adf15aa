/** Work on a connection of the pool, which gives it back itself. */

import type { Release } from '../driver/peer.ts'
import { unlessReleased } from '../statement/unless-released.ts'

/** Whatever it throws instead (a getter of the caller's, a wrapper of a tool's): the place in the pool is not lost. The connection is closed, since it is not known what was done on it. */
export async function orRelease<Result>(release: Release, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    unlessReleased(release)(error instanceof Error ? error : true)
    throw error
  }
}
