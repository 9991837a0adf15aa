/** Next's `after`, for tasks that are part of their invocation: they may still use the clients that the handler acquired. */

import { currentInvocation, type RequestInvocation } from '@thaw/core'
import { after as nextAfter } from 'next/server.js'

/** What `after` of Next.js takes. */
type Task = Parameters<typeof nextAfter>[0]

/**
 * `after` of `next/server`. Inside {@link withThaw}, the invocation lasts until the task has ended: the task keeps the clients that the
 * handler acquired with `connect()`, the deadline bounds it, and clients it does not release are reported. Queries work in Next's own
 * `after` too, but for Thaw the invocation has ended by then.
 *
 * @throws {Error} Next's own, outside requests.
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
