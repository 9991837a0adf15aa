/**
 * A transaction that is given up when its connection is lost: its backend may wait for the next statement until the server notices, which takes hours, and holds its locks meanwhile. It is ended in the
 * background: the caller has the error already.
 */

import { type Clock, resumeInvocation } from '@thaw/core'
import { canFence, fence, type LostSession } from './fence.ts'
import { pause, type SettleHost } from './settle.ts'

export interface LeftBehindHost extends Pick<SettleHost, 'borrow'> {
  readonly clock: Clock
  begin(): () => void
}

/** Each: for a connection, and for the answer. The end of the pool waits for it. */
const END_MILLIS = 3_000

/** Behind a pooler its flight may arrive later than the first question. It may also be over, which looks the same. */
const LATER_MILLIS = [100, 400, 1_000]

/** As far as can be: the server notices in the end. */
export function endLeftBehind(host: LeftBehindHost, lost: LostSession): void {
  if (!canFence(lost)) return
  const over = host.begin()
  // The client that hung up may be why it was given up: that must not end this, too.
  void resumeInvocation(undefined, () => end(host, lost)).then(over, over)
}

async function end(host: LeftBehindHost, lost: LostSession): Promise<void> {
  for (const millis of [0, ...(lost.tag ? LATER_MILLIS : [])]) {
    if (millis > 0) await pause(host.clock, millis)
    if (await endNow(host, lost)) return
  }
}

async function endNow(host: LeftBehindHost, lost: LostSession): Promise<boolean> {
  const { client, release } = await host.borrow(END_MILLIS)
  try {
    const isFound = await fence(client, lost, host.clock, END_MILLIS)
    release()
    return isFound
  } catch (error) {
    release(error as Error)
    throw error
  }
}
