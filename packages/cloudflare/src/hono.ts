/** The same as `withThaw`, for apps in which Hono calls the handlers. */

import { type Context, serve } from './invocations.ts'
import { settingsOf, type ThawOptions } from './options.ts'

/** The slice of Hono's context that is used here. Hono 4's own fits. */
export interface HonoContext {
  readonly req: { readonly raw: Request }
  readonly executionCtx: Context
  res: Response
}

/**
 * A middleware for Hono on Workers: `app.use(thawMiddleware())`, before all others. Not needed if the whole app is wrapped: `export default
 * withThaw(app)`.
 *
 * @throws {OptionError} as `withThaw`.
 */
export function thawMiddleware(options: ThawOptions = {}): (context: HonoContext, next: () => Promise<void>) => Promise<void> {
  const settings = settingsOf(options)
  return async (context, next) => {
    const work = async () => {
      await next()
      return context.res
    }
    const response = (await serve(settings, { context: executionContextOf(context), signal: context.req.raw.signal }, work)) as Response
    if (response !== context.res) context.res = response
  }
}

/** Hono throws if there is none: in a test that uses `app.request()`. */
function executionContextOf(context: HonoContext): Context | undefined {
  try {
    return context.executionCtx
  } catch {
    return undefined
  }
}
