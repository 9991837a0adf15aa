/** Next's `after`, for tasks that are part of their invocation: what the handler took, they may still use. */

import { currentInvocation, type RequestInvocation } from '@thaw/core'
import { after as nextAfter } from 'next/server.js'

/** What `after` of Next.js takes. */
type Task = Parameters<typeof nextAfter>[0]

/**
 * `after` of `next/server`. Inside of {@link withThaw} the invocation lasts until the task has ended: a client that the handler took by
 * `connect()` stays the task's, the deadline holds for it, and what it does not give back is reported. With Next's own `after` queries work as
 * well, but to Thaw the invocation has ended before them.
 *
 * @throws {Error} of Next's outside of requests.
 */
export function after(task: Task): void {
  const done = (currentInvocation() as Partial<RequestInvocation> | undefined)?.part?.()
  if (!done) return nextAfter(task)
  try {
    nextAfter(typeof task === 'function' ? () => follow(task, done) : task)
  } catch (error) {
    done()
    throw error
  }
  if (typeof task !== 'function') Promise.resolve(task).then(done, done)
}

async function follow(task: () => unknown, done: () => void): Promise<void> {
  try {
    await task()
  } finally {
    done()
  }
}
