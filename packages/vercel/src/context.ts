/**
 * What Vercel says about the current request. Read from where `@vercel/functions` reads it, without that package: it takes 25 ms to load,
 * and does not load at all if there is no `process`. `context.test.ts` fails when the two no longer see the same.
 */

/** The slice of the request context that Thaw uses. */
export interface RequestContext {
  /** Keeps the instance awake until the promise settles. */
  waitUntil?(promise: Promise<unknown>): void
  /** When the invocation will be ended, in ISO 8601. */
  readonly deadline?: string
  readonly headers?: Readonly<Record<string, string | undefined>>
}

/** Vercel's own `waitUntil`, kept by the wrapper that watches what handlers pass to it. */
export const HELD: unique symbol = Symbol.for('thaw.vercel.waitUntil')
const CONTEXT = Symbol.for('@vercel/request-context')

/** The context of the caller's request. Undefined outside requests, and outside Vercel. */
export function requestContext(): RequestContext | undefined {
  return (globalThis as { [CONTEXT]?: { get?(): RequestContext | undefined } })[CONTEXT]?.get?.()
}

/** When the platform will end the invocation, in milliseconds since the epoch. Undefined: it does not say. */
export function endOf(context: RequestContext | undefined): number | undefined {
  // biome-ignore lint/style/noRestrictedGlobals: parses, and reads no clock.
  const endsAt = context?.deadline === undefined ? Number.NaN : Date.parse(context.deadline)
  return Number.isNaN(endsAt) ? undefined : endsAt
}

/** Keeps the instance awake until the promise settles. It does not count as work of the handler's. */
export function holdInstance(context: RequestContext, promise: Promise<unknown>): void {
  const { waitUntil } = context as { readonly waitUntil?: RequestContext['waitUntil'] & { readonly [HELD]?: RequestContext['waitUntil'] } }
  ;(waitUntil?.[HELD] ?? waitUntil)?.call(context, promise)
}
