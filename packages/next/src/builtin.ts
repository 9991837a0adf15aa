/** Node's own modules, without an import of them: a bundler would look for them on the Edge runtime, which has none. */

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
  // There, under `next dev`, whoever asks for a member of `process` that is of Node is thrown an error.
  return runtime.EdgeRuntime === undefined ? runtime.process?.getBuiltinModule?.(name) : undefined
}
