/** A pool that is made for each request: who makes one is told, once for each place. */

import { type Invocation, trackedPools } from '@thaw/core'
import { fingerprint } from './fingerprint.ts'

/** A pool that was made anew while a request was served, and not ended with it. */
export interface StrayPool {
  /** The stack of the `new Pool()`, without its first lines. */
  readonly madeAt: string
}

/** By place: how the first pool that was made there is configured, and whether anybody was told. */
const places = new Map<string, { readonly configuration: string; isTold: boolean }>()

/**
 * Looks for pools that the invocation made and has not ended. The first of a place may be the only one, made when it was needed. For the second with the
 * same configuration, `tell` is called, once for each place; and the connections of each are closed when they are idle: nobody will use them again.
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

/** What is said where nobody listens. */
export function describeStray({ madeAt }: StrayPool): string {
  return `Thaw: a pool is created in each request, and its connections are never used again. Create it once, outside the handler: export const pool = onePool(Pool, { … }). It was created\n${madeAt}`
}
