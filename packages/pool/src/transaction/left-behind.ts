/**
 * A transaction that is given up when its connection is lost: its backend may wait for the next statement until the server notices, which takes hours, and holds its locks meanwhile. It is ended in the
 * background: the caller has the error already.
 */

import { type Clock, resumeInvocation } from '@thaw/core'
import { canFence, fence, type LostSession } from './fence.ts'
import type { SettleHost } from './settle.ts'

export interface LeftBehindHost extends Pick<SettleHost, 'borrow'> {
  readonly clock: Clock
  begin(): () => void
}

/** Each: for a connection, and for the answer. The end of the pool waits for it. */
const END_MILLIS = 3_000

/** As far as can be: the server notices in the end. */
export function endLeftBehind(host: LeftBehindHost, lost: LostSession): void {
  if (!canFence(lost)) return
  const over = host.begin()
  // The client that hung up may be why it was given up: that must not end this, too.
  void resumeInvocation(undefined, () => end(host, lost)).then(over, over)
}

async function end(host: LeftBehindHost, lost: LostSession): Promise<void> {
  const { client, release } = await host.borrow(END_MILLIS)
  try {
    await fence(client, lost, host.clock, END_MILLIS)
    release()
  } catch (error) {
    release(error as Error)
  }
}
