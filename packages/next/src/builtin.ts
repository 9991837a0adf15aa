/** Node's own modules, without importing them: a bundler would try to resolve them on the Edge runtime, which has none. */

interface Builtins {
  readonly 'node:net': { readonly Socket: new () => Socket }
}

/** The slice of a socket that is used here. */
export interface Socket {
  connect: () => Socket
  destroy(error: Error): unknown
}

interface Runtime {
  readonly EdgeRuntime?: string
  readonly process?: { getBuiltinModule?<Name extends keyof Builtins>(name: Name): Builtins[Name] }
}

/** Undefined on the Edge runtime, and before Node 20.16. */
export function builtin<Name extends keyof Builtins>(name: Name): Builtins[Name] | undefined {
  const runtime = globalThis as Runtime
  // Under `next dev`, reading a member of `process` that belongs to Node throws here.
  return runtime.EdgeRuntime === undefined ? runtime.process?.getBuiltinModule?.(name) : undefined
}
