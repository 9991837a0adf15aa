import type { AsyncLocalStorage } from 'node:async_hooks'
import type { RequestContext } from '../src/context.ts'

/** Puts request contexts where Vercel has them. */
export function serveContexts(contexts: AsyncLocalStorage<RequestContext>): AsyncLocalStorage<RequestContext> {
  Object.assign(globalThis, { [Symbol.for('@vercel/request-context')]: { get: () => contexts.getStore() } })
  return contexts
}
