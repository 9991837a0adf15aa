import type { EventCounts } from '@thaw/core'

/** Counts of what has happened so far, by the names of the events, and of what is there now. */
export type PoolStats = Readonly<EventCounts & Record<'total' | 'idle' | 'waiting' | 'generation', number>>
