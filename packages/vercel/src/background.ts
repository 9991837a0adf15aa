/**
 * Work that a handler passes to `waitUntil` continues after its response has been sent, with the client that it holds. It belongs to the
 * invocation: until it has settled, that client was not forgotten.
 */

import { HELD, type RequestContext } from './context.ts'

/** The work of one request. */
export interface Background {
  /** Calls back when none is pending: now, or later. */
  whenDone(done: () => void): void
}

const NONE: Background = { whenDone: (done) => done() }
const BACKGROUND = Symbol.for('thaw.vercel.background')

type WaitUntil = NonNullable<RequestContext['waitUntil']>
type WatchedWaitUntil = WaitUntil & { readonly [BACKGROUND]?: Background }

/** Watches the request's `waitUntil` from now on. If it cannot be watched, there is no such work as far as we can tell. */
export function backgroundOf(context: RequestContext | undefined): Background {
  const waitUntil: WatchedWaitUntil | undefined = context?.waitUntil
  if (!context || typeof waitUntil !== 'function') return NONE
  // An outer wrapper, or an earlier one: a handler may be wrapped twice, or called twice for one request.
  if (waitUntil[BACKGROUND]) return waitUntil[BACKGROUND]
  let pending = 0
  const waiting = new Set<() => void>()
  const settled = (): void => {
    pending--
    if (pending > 0) return
    for (const done of waiting) done()
    waiting.clear()
  }
  const background: Background = {
    whenDone(done) {
      if (pending === 0) done()
      else waiting.add(done)
    },
  }
  const watched = (promise: PromiseLike<unknown>): void => {
    // Once: work that begins when it is first awaited, such as an ORM's query, must not begin twice.
    const work = Promise.resolve(promise)
    pending++
    work.then(settled, settled)
    waitUntil.call(context, work)
  }
  try {
    context.waitUntil = Object.assign(watched, { [BACKGROUND]: background, [HELD]: waitUntil })
  } catch {
    return NONE
  }
  return background
}
