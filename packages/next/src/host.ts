/** What the host says of the request that is being served: Vercel in its own words, others in those that Next.js asks for. */

/** The slice of the request context that Thaw uses. */
export interface HostContext {
  /** Holds the instance until the promise settles. */
  waitUntil?(promise: Promise<unknown>): void
  /** When the invocation will be ended, in ISO 8601. Vercel only. */
  readonly deadline?: string
  readonly headers?: Readonly<Record<string, string | undefined>>
}

const VERCEL = Symbol.for('@vercel/request-context')
const NEXT = Symbol.for('@next/request-context')

type Getter = { get?(): HostContext | undefined } | undefined

/** The context of the request that the caller belongs to. Undefined outside of requests, under `next dev`, and under `next start` on one's own server. */
export function hostContext(): HostContext | undefined {
  const known = globalThis as { [VERCEL]?: Getter; [NEXT]?: Getter }
  return known[VERCEL]?.get?.() ?? known[NEXT]?.get?.()
}

/** When the host will end the invocation, in milliseconds since the epoch. Undefined: it does not say. */
export function endOf(context: HostContext | undefined): number | undefined {
  // biome-ignore lint/style/noRestrictedGlobals: parses, and reads no clock.
  const endsAt = context?.deadline === undefined ? Number.NaN : Date.parse(context.deadline)
  return Number.isNaN(endsAt) ? undefined : endsAt
}
