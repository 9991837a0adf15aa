import type { EventCounts } from '@thaw/core'

/** What happened so far, by the names of the events, and what is there now. */
export type PoolStats = Readonly<EventCounts & Record<'total' | 'idle' | 'waiting' | 'generation', number>>
