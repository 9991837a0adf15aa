/** Runs after the current code, before anything else: `process.nextTick`, or a microtask on runtimes without it. */

import { isFake } from '@thaw/core'

interface Globals {
  readonly process?: { readonly nextTick?: (callback: () => void) => void }
  queueMicrotask(callback: () => void): void
}

const globals = globalThis as unknown as Globals

// Captured once: a test's fake timers replace both later, and a pool must not wait until a fake clock is moved.
const { queueMicrotask, process } = globals
const tick = realTick()

/** Jest's fakes replace both, and may have done so before this module is loaded. They leave promises alone. The Edge runtime's bundlers provide an empty `process`. */
function realTick(): (callback: () => void) => void {
  if (!process?.nextTick) return queueMicrotask
  const settled = Promise.resolve()
  return isFake(process.nextTick) ? (callback) => void settled.then(callback) : process.nextTick.bind(process)
}

export function nextTick(callback: () => void): void {
  tick(callback)
}

/** An uncaught exception, after the current code has finished. */
export function throwLater(error: unknown): void {
  nextTick(() => {
    throw error
  })
}
