/** The invocations of this process: what each is told to the pools, and who waits for the end of which. */

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

/** What remained of the last invocation when it began. */
let lastRemainingMillis: number | undefined
const running = new Set<string>()
const ends = new Map<string, () => void>()

export const createStorage = (): AsyncLocalStorage<Invocation> => new AsyncLocalStorage()

export function beginning(context: ContextSlice | undefined, { clock, marginMillis }: Settings): Beginning {
  const remaining = context?.getRemainingTimeInMillis?.()
  const wall = clock.wall()
  const endsAt = remaining === undefined ? undefined : wall + remaining
  return {
    invocation: createInvocation({ id: context?.awsRequestId ?? '', endsAt, marginMillis, clock }),
    hints: hintsFor(wall, remaining),
  }
}

/** A wrapper is around it, and will tell of its end. */
export function began({ id }: Invocation): void {
  running.add(id)
}

/** It has ended: whoever waits for that hears of it. */
export function ended({ id }: Invocation): void {
  running.delete(id)
  ends.get(id)?.()
  ends.delete(id)
}

export function isRunning(id: string): boolean {
  return running.has(id)
}

/** Resolves when it ends. */
export function whenEnded(id: string): Promise<void> {
  return new Promise((resolve) => ends.set(id, resolve))
}

/** Not to be told of the end after all. */
export function forget(id: string): void {
  ends.delete(id)
}

/** A managed instance serves several invocations at once, and is never frozen between two. */
export function isManaged(): boolean {
  return platformDefaults().platform === 'lambda-managed-instances'
}

/**
 * The deadline is by Lambda's clock, what remains is counted by ours, and every invocation is given the same time. So where more
 * remains than did at the last beginning, our clock has fallen behind meanwhile, by the difference.
 */
function hintsFor(wall: number, remaining: number | undefined): FreezeHints {
  const newInvocation = !isManaged()
  const ahead = remaining !== undefined && lastRemainingMillis !== undefined ? remaining - lastRemainingMillis : 0
  lastRemainingMillis = remaining
  return ahead > 0 ? { newInvocation, outsideWall: wall + ahead } : { newInvocation }
}
