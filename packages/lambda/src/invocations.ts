/** The invocations of this process: tells pools when one begins and ends, and lets others wait for the end. */

import { AsyncLocalStorage } from 'node:async_hooks'
import { createInvocation, type FreezeHints, type Invocation, type OpenInvocation, platformDefaults } from '@thaw/core'
import type { Settings } from './options.ts'

/** The slice of Lambda's context that is read here. */
export interface ContextSlice {
  readonly awsRequestId?: string
  getRemainingTimeInMillis?(): number
}

/** An invocation that begins. */
export interface Beginning {
  readonly invocation: OpenInvocation
  readonly hints: FreezeHints
}

/** The last invocation when it began. */
let last: { readonly id: string; readonly remainingMillis: number | undefined } | undefined
/** How many wrappers are active for each: a handler may be wrapped twice. */
const running = new Map<string, number>()
let lastEnded: string | undefined
const ends = new Map<string, () => void>()

export const createStorage = (): AsyncLocalStorage<Invocation> => new AsyncLocalStorage()

export function beginning(context: ContextSlice | undefined, { clock, marginMillis }: Settings): Beginning {
  const remaining = context?.getRemainingTimeInMillis?.()
  const wall = clock.wall()
  const endsAt = remaining === undefined ? undefined : wall + remaining
  const id = context?.awsRequestId ?? ''
  return { invocation: createInvocation({ id, endsAt, marginMillis, clock }), hints: hintsFor(id, wall, remaining) }
}

/** A wrapper is around it, and will report its end. */
export function began({ id }: Invocation): void {
  running.set(id, (running.get(id) ?? 0) + 1)
}

/** It has ended: calls everything that waits for that. */
export function ended({ id }: Invocation): void {
  const others = (running.get(id) ?? 1) - 1
  if (others > 0) return void running.set(id, others)
  running.delete(id)
  lastEnded = id
  ends.get(id)?.()
  ends.delete(id)
}

export function isRunning(id: string): boolean {
  return running.has(id)
}

/** Resolves when it ends. It may have ended already: a quick handler is done before an extension learns that it has begun. */
export function whenEnded(id: string): Promise<void> {
  if (id === lastEnded && !running.has(id)) return Promise.resolve()
  return new Promise((resolve) => ends.set(id, resolve))
}

/** Stops waiting for the end. */
export function forget(id: string): void {
  ends.delete(id)
}

/** A managed instance serves several invocations at once, and is never frozen between two. */
export function isManaged(): boolean {
  return platformDefaults().platform === 'lambda-managed-instances'
}

/**
 * The deadline is set by Lambda's clock, the remaining time is counted by ours, and every invocation gets the same amount of time. So if
 * more remains than at the last beginning, our clock has fallen behind since then, by the difference.
 */
function hintsFor(id: string, wall: number, remainingMillis: number | undefined): FreezeHints {
  const newInvocation = !isManaged()
  const ahead = remainingMillis !== undefined && last?.remainingMillis !== undefined ? remainingMillis - last.remainingMillis : 0
  // Not a second call for the same invocation, when part of its time has been used.
  if (last?.id !== id || ahead > 0) last = { id, remainingMillis }
  return ahead > 0 ? { newInvocation, outsideWall: wall + ahead } : { newInvocation }
}
