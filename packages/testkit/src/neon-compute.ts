/** The database behind a local Neon: a PostgreSQL that sleeps when told to, and wakes when it is needed. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultProxy } from './fault-proxy.ts'
import type { PostgresServer } from './postgres.ts'

/** The proxy's own message when there is no compute to connect to. */
export const COMPUTE_UNREACHABLE = "Couldn't connect to compute node"

/** Where to connect. */
export interface ComputeAddress {
  readonly host: string
  readonly port: number
}

/** A compute, in Neon's own word. */
export interface NeonCompute {
  /** How often it has been woken. */
  readonly wakes: number
  /** Where it listens. Wakes it first, if it sleeps. Rejects if it does not come up. */
  address(): Promise<ComputeAddress>
  /** Ends it as Neon does when it scales to zero: every session gets 57P01. The next `address()` takes `wakeMillis` and a start of PostgreSQL. */
  suspend(wakeMillis: number): Promise<void>
  /** Wakes nothing any more. */
  close(): void
}

export function createCompute(server: PostgresServer, proxy: FaultProxy): NeonCompute {
  const closing = new AbortController()
  let wakeMillis: number | undefined
  let waking: Promise<void> | undefined
  let wakes = 0
  const wake = async (afterMillis: number): Promise<void> => {
    wakes++
    try {
      await sleep(afterMillis, undefined, { signal: closing.signal })
      await server.start()
      wakeMillis = undefined
    } finally {
      waking = undefined
    }
  }
  return {
    get wakes() {
      return wakes
    },
    async address() {
      if (wakeMillis !== undefined) {
        waking ??= wake(wakeMillis)
        await waking
      }
      return proxy
    },
    async suspend(millis) {
      await waking
      wakeMillis = millis
      await server.stop('fast')
    },
    close: () => closing.abort(),
  }
}
