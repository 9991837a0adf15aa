/**
 * Thaw on Vercel Functions: `withThaw` wraps a handler, `attachPool` makes sure that no session is left behind when the instance is
 * suspended.
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
export { attachPool } from './attach-pool.ts'
export type { ThawOptions } from './options.ts'
export type { AttachablePool } from './peer-pool.ts'
export { type VercelHandler, withThaw } from './with-thaw.ts'
