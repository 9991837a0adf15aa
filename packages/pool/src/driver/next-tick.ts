/** Runs after the current code, before anything else: `process.nextTick`, or a microtask on runtimes without it. */

interface Globals {
  readonly process?: { readonly nextTick?: (callback: () => void) => void }
  queueMicrotask(callback: () => void): void
}

const globals = globalThis as unknown as Globals

// Captured once: a test's fake timers replace both later, and a pool must not wait until a fake clock is moved. The Edge runtime's bundlers
// provide an empty `process`.
const { queueMicrotask } = globals
const tick = globals.process?.nextTick?.bind(globals.process) ?? queueMicrotask

export function nextTick(callback: () => void): void {
  tick(callback)
}

/** An uncaught exception, after the current code has finished. */
export function throwLater(error: unknown): void {
  nextTick(() => {
    throw error
  })
}
