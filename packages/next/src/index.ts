/**
 * Thaw in Next.js: `withThaw` wraps route handlers and server actions, `after` is Next's with the invocation kept open for it, `onePool` is one pool
 * across reloads and module graphs.
 *
 * @module
 */

export {
  currentInvocation as invocation,
  DeadlineError,
  type Invocation,
  type Leak,
  OptionError,
  resumeInvocation,
  ThawError,
} from '@thaw/core'
export { after } from './after.ts'
export { type AnyPool, onePool } from './one-pool.ts'
export type { ThawOptions } from './options.ts'
export type { StrayPool } from './stray-pools.ts'
export { type NextHandler, type RouteHandler, withThaw } from './with-thaw.ts'
