/** The same as `withThaw`, for apps in which middy calls the handler. */

import { beginInvocation, endInvocation, enterInvocation, type OpenInvocation } from '@thaw/core'
import { beginning, type ContextSlice, createStorage, isManaged } from './invocations.ts'
import { settingsOf, type ThawOptions } from './options.ts'

/** The slice of middy's request that is read here. That of middy 5 to 7 fits. */
export interface MiddyRequest {
  readonly context: object
}

/** A middleware for middy, from 5 to 7. */
export interface MiddyMiddleware {
  before(request: MiddyRequest): void
  after(request: MiddyRequest): void
  onError(request: MiddyRequest): void
}

/**
 * A middleware that does for middy's handlers what `withThaw` does for others. Use it first, so that the other middlewares run inside the
 * invocation too:
 *
 * `middy().use(thawMiddleware()).handler(async (event, context) => { … })`
 *
 * For response streaming, wrap the whole middy in `withThaw` instead: a middleware learns that the handler has returned, not that its
 * stream has ended.
 *
 * @throws {OptionError} for an impossible or misspelt option.
 */
export function thawMiddleware(options: ThawOptions = {}): MiddyMiddleware {
  const settings = settingsOf(options)
  const open = new WeakMap<MiddyRequest, OpenInvocation>()
  const unended = new Set<MiddyRequest>()
  const end = (request: MiddyRequest): void => {
    const invocation = open.get(request)
    // Middy reports an error in an `after` after it has already reported the end.
    if (!invocation) return
    open.delete(request)
    unended.delete(request)
    settings.report(endInvocation(invocation))
  }
  return {
    before(request) {
      // Middy skips every `after` if a middleware answers in place of the handler: then the next invocation shows that this one has ended.
      for (const other of unended) if (other.context !== request.context) end(other)
      if (!isManaged()) unended.add(request)
      const { invocation, hints } = beginning(request.context as ContextSlice, settings)
      open.set(request, invocation)
      beginInvocation(invocation, hints)
      enterInvocation(invocation, createStorage)
    },
    after: end,
    onError: end,
  }
}
