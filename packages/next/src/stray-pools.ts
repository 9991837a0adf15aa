/** A pool that is created in each request: reported once per place. */

import { type Invocation, trackedPools } from '@thaw/core'
import { fingerprint } from './fingerprint.ts'

/** A pool that was created while a request was served, and not ended with it. */
export interface StrayPool {
  /** The stack of the `new Pool()`, without its first lines. */
  readonly madeAt: string
}

/** By place: the configuration of the first pool created there, and whether it has been reported. */
const places = new Map<string, { readonly configuration: string; isTold: boolean }>()

/**
 * Looks for pools that the invocation created and has not ended. The first one of a place may be the only one, created when it was needed.
 * For the second one with the same configuration, `tell` is called, once per place; and the connections of each are closed when they become
 * idle: they would never be used again.
 */
export function findStrays(invocation: Invocation, tell: (stray: StrayPool) => void): void {
  for (const member of trackedPools()) {
    const { pool, origin } = member
    if (origin?.invocation !== invocation) continue
    const configuration = fingerprint((pool as { options?: unknown }).options)
    const place = places.get(origin.madeAt)
    if (!place) places.set(origin.madeAt, { configuration, isTold: false })
    if (place?.configuration !== configuration) continue
    void member.closeIdle()
    if (place.isTold) continue
    place.isTold = true
    tell({ madeAt: origin.madeAt })
  }
}

/** The default report. */
export function describeStray({ madeAt }: StrayPool): string {
  return `Thaw: a pool is created in each request, and its connections are never used again. Create it once, outside the handler: export const pool = onePool(Pool, { … }). It was created\n${madeAt}`
}
