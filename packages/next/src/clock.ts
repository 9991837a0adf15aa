/**
 * Time and chance as they are. With Cache Components Next.js replaces `Date.now` and `Math.random`, and stops prerendering a page in which somebody
 * calls them, for its output could depend on them. Nobody's output depends on what a pool reads of a clock.
 */

import { type Clock, systemClock } from '@thaw/core'
import { builtin } from './builtin.ts'

interface Realm {
  now(): number
  random(): number
}

let known: Clock | undefined

/** The runtime's clocks, past what Next.js has put in front of them. On the Edge runtime those that are there. */
export function nextClock(): Clock {
  if (known) return known
  // Another realm has functions of its own, which tell the same time.
  const realm = builtin('node:vm')?.runInNewContext('({ now: Date.now, random: Math.random })') as Realm | undefined
  known = realm ? { ...systemClock, wall: () => realm.now(), random: () => realm.random() } : systemClock
  return known
}
