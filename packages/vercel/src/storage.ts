/** Where the storage of the current invocation comes from: a global on Edge, a module of Node elsewhere, and no import of it here. */

import type { InvocationStorage } from '@thaw/core'

type StorageClass = new () => InvocationStorage

interface Runtime {
  readonly AsyncLocalStorage?: StorageClass
  readonly process?: { getBuiltinModule?(name: string): { readonly AsyncLocalStorage: StorageClass } | undefined }
}

/** @throws {Error} if there is none. Called when a handler is wrapped, not when the first request arrives. */
export function storageMaker(): () => InvocationStorage {
  const runtime = globalThis as Runtime
  const AsyncLocalStorage = runtime.AsyncLocalStorage ?? runtime.process?.getBuiltinModule?.('node:async_hooks')?.AsyncLocalStorage
  if (AsyncLocalStorage) return () => new AsyncLocalStorage()
  throw new Error(
    'withThaw() needs AsyncLocalStorage, which this runtime does not have. Use Node 20.16 or later, or the Edge runtime of Vercel.',
  )
}
