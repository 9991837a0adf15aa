/**
 * Thaw on Cloudflare Workers: `withThaw` wraps handlers, entrypoints and Durable Objects, `thawMiddleware` is the same for Hono.
 *
 * @module
 */

export {
  currentInvocation as invocation,
  type Invocation,
  type Leak,
  OptionError,
  resumeInvocation,
  ScopeError,
  ThawError,
} from '@thaw/core'
export { type HonoContext, thawMiddleware } from './hono.ts'
export type { ThawOptions } from './options.ts'
export { type AnyClass, type AnyFunction, type WorkerHandlers, withThaw } from './with-thaw.ts'
