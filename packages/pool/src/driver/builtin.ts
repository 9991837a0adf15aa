/** A module of the runtime's, without an import: bundlers for other runtimes would fail on one. */

interface Globals {
  readonly process?: { readonly getBuiltinModule?: (name: string) => unknown }
}

/** Undefined before Node 20.16, and in runtimes that do not have it. */
export function builtin<Module>(name: string): Module | undefined {
  try {
    return (globalThis as Globals).process?.getBuiltinModule?.(name) as Module | undefined
  } catch {
    // Some runtimes have the function, but it throws.
    return undefined
  }
}
