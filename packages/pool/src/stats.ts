import type { EventCounts } from '@thaw/core'

/** What a pool in a fleet has done for room, and what it saw last. */
export interface FleetStats {
  /** How often it has looked. */
  readonly looks: number
  /** How many sessions it has ended. */
  readonly evicted: number
  /** How many of its own it has given up for others: idle ones, where the server was full. */
  readonly yielded: number
  /** Sessions of the fleet that were spared, at the last look. */
  readonly spared: number
  /** Sessions, by the limit that was nearest, at the last look. */
  readonly used: number
  /** That limit. 0 before the first look. */
  readonly limit: number
}

/** Counts of what has happened so far, by the names of the events, and of what is there now. */
export type PoolStats = Readonly<EventCounts & Record<'total' | 'idle' | 'waiting' | 'generation', number>> & {
  /** Undefined without `fleet`. */
  readonly fleet?: FleetStats
}
