/** The pool's events for listeners that know no pool: each on the channel `thaw:` and its type. */

import { type Broadcast, EVENT_TYPES, type ThawEvent } from '@thaw/core'
import { type Channel, channelOf } from '../driver/diagnostics.ts'

const CHANNELS = Object.fromEntries(EVENT_TYPES.map((type) => [type, channelOf(`thaw:${type}`)])) as Record<ThawEvent['type'], Channel>

/** @param pool - the pool that emits them, as soon as it is known. */
export function createBroadcast(pool: () => object | undefined): Broadcast {
  return {
    hears: (type) => CHANNELS[type].hasSubscribers,
    tell(event) {
      // Printing the message prints no pool, whose options may have a connection string with a password in it.
      const message = Object.defineProperty({ ...event }, 'pool', { value: pool() })
      try {
        CHANNELS[event.type].publish(message)
      } catch {
        // Node turns what a subscriber throws into an uncaught exception, in the next tick. Here it would hit the caller that uses the
        // pool.
      }
    },
  }
}
