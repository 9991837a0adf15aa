/**
 * The async context of a caller that waits. What it waits for comes in the context of whatever brings it, another caller's release above all: tracing tools
 * would put its statement under the other one's request.
 */

interface Hooks {
  readonly AsyncLocalStorage?: { readonly snapshot?: () => RunInContext }
}

interface Globals {
  readonly process?: { readonly getBuiltinModule?: (name: string) => unknown }
}

/** Runs the work in the context in which it was made. */
export type RunInContext = <Result>(work: () => Result) => Result

const hooks = loadHooks()

/** Node has it from 20.16 on. Without an import, since bundlers for other runtimes would stop at it. */
function loadHooks(): Hooks | undefined {
  try {
    return (globalThis as Globals).process?.getBuiltinModule?.('node:async_hooks') as Hooks | undefined
  } catch {
    // Some runtimes have the function, and throw.
    return undefined
  }
}

/** The context that the caller runs in. Undefined where the runtime has no such thing. */
export function keepContext(): RunInContext | undefined {
  return hooks?.AsyncLocalStorage?.snapshot?.()
}
