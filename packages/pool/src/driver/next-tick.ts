/** After the code that runs now, before anything else: `process.nextTick`, and where there is no such thing, a microtask. */

interface Globals {
  readonly process?: { readonly nextTick?: (callback: () => void) => void }
  queueMicrotask(callback: () => void): void
}

const globals = globalThis as unknown as Globals

// Taken once: the fake timers of a test replace both later, and a pool must not wait for somebody to move a fake clock.
// The Edge runtime's bundlers put a `process` there that has nothing.
const { queueMicrotask } = globals
const tick = globals.process?.nextTick?.bind(globals.process) ?? queueMicrotask

export function nextTick(callback: () => void): void {
  tick(callback)
}

/** An uncaught exception, when the code that runs now has done its work. */
export function throwLater(error: unknown): void {
  nextTick(() => {
    throw error
  })
}
