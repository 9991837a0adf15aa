/** What the host says about the current request: Vercel in its own way, others in the way that Next.js specifies. */

/** The slice of the request context that Thaw uses. */
export interface HostContext {
  /** Keeps the instance awake until the promise settles. */
  waitUntil?(promise: Promise<unknown>): void
  /** When the invocation will be ended, in ISO 8601. Vercel only. */
  readonly deadline?: string
  readonly headers?: Readonly<Record<string, string | undefined>>
}

const VERCEL = Symbol.for('@vercel/request-context')
const NEXT = Symbol.for('@next/request-context')

type Getter = { get?(): HostContext | undefined } | undefined

/** The context of the caller's request. Undefined outside requests, under `next dev`, and under `next start` on your own server. */
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
