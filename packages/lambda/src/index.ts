/**
 * Thaw on AWS Lambda.
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
export { type MiddyMiddleware, type MiddyRequest, thawMiddleware } from './middy.ts'
export type { ThawOptions } from './options.ts'
export { type EndablePool, registerShutdown, type ShutdownOptions } from './shutdown.ts'
export { type AnyHandler, type LambdaContext, type LambdaHandler, withThaw } from './with-thaw.ts'
