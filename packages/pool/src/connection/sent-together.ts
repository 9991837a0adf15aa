/** Reads that go out in one write: which of them are a run, which could not be sent, and which is written later. */

import { nextTick } from '../driver/next-tick.ts'
import type { PeerConnection, PeerQuery } from '../driver/peer.ts'
import { GatheredWrites } from './one-write.ts'
import type { Expected } from './shared-connection.ts'

const MOST_IN_A_RUN = 16
/** The first of a run is answered with the last. */
const MOST_MILLIS_IN_A_RUN = 2

/**
 * Returns the one whose `submit` has put off what it writes, if there is one (a wrapper of the user's around it): none behind it is sent, since its answer would come
 * first.
 *
 * @param refuse nothing of it was written.
 */
export function sendTogether(
  waiting: readonly Expected[],
  connection: PeerConnection,
  refuse: (expected: Expected, error: Error) => void,
): Expected | undefined {
  const deferred: Expected[] = []
  let last: Expected | undefined
  let length = 0
  let millis = 0
  const writes = new GatheredWrites(connection.stream)
  writes.during(connection, () => {
    for (const expected of waiting) {
      const { query, runKey, workMillis } = expected
      // Code of the user's runs while others are written: its caller may have withdrawn it.
      if (expected.state !== 'waiting') continue
      // The time of one that is bounded must not run while the server keeps its answer for the rest of a run.
      const isLike = runKey !== undefined && runKey === last?.runKey && !expected.begin && !last.begin
      const joins = isLike && length < MOST_IN_A_RUN && millis + workMillis <= MOST_MILLIS_IN_A_RUN
      writes.begin(joins)
      expected.state = 'writing'
      const failure = submitOf(query, connection)
      if (failure && !writes.hasBegun) {
        expected.state = 'waiting'
        refuse(expected, failure)
        continue
      }
      if (failure) nextTick(() => query?.handleError(failure, connection))
      // Told of a value that cannot be sent, or on a connection that was closed meanwhile, pg writes nothing more.
      const isDeferred = !failure && !writes.isWhole && !expected.isEnded && connection.stream.writable
      if (!isDeferred) writes.endStatement()
      expected.state = 'ahead'
      if (last) last.isJoined = writes.hasJoined
      length = writes.hasJoined ? length + 1 : 1
      millis = writes.hasJoined ? millis + workMillis : workMillis
      last = expected
      if (!isDeferred) continue
      deferred.push(expected)
      return
    }
  })
  return deferred[0]
}

/** Why it was not sent, or not all of it. */
function submitOf(query: PeerQuery | undefined, connection: PeerConnection): Error | null | undefined {
  try {
    return query?.submit?.(connection)
  } catch (error) {
    return error as Error
  }
}
