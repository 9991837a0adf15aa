/** After the code that runs now, before anything else: `process.nextTick`, and where there is no such thing, a microtask. */

interface Globals {
  readonly process?: { readonly nextTick?: (callback: (...values: never[]) => void, ...values: unknown[]) => void }
  queueMicrotask(callback: () => void): void
}

const globals = globalThis as unknown as Globals

export function nextTick(callback: () => void): void {
  // Looked up on each call: the Edge runtime's bundlers put a `process` there that has nothing.
  if (globals.process?.nextTick) globals.process.nextTick(callback)
  else globals.queueMicrotask(callback)
}
