/**
 * Time and chance as they are. With Cache Components Next.js replaces `Date.now` and `Math.random`, and stops prerendering a page in which somebody
 * calls them, for its output could depend on them. Nobody's output depends on what a pool reads of a clock.
 */

import { type Clock, systemClock } from '@thaw/core'

interface Realm {
  now(): number
  random(): number
}

interface Runtime {
  readonly process?: { getBuiltinModule?(name: 'node:vm'): { runInNewContext(code: string): Realm } | undefined }
}

let known: Clock | undefined

/** The runtime's clocks, past what Next.js has put in front of them. On the Edge runtime those that are there. */
export function nextClock(): Clock {
  if (known) return known
  // Another realm has functions of its own, which tell the same time.
  const realm = (globalThis as Runtime).process?.getBuiltinModule?.('node:vm')?.runInNewContext('({ now: Date.now, random: Math.random })')
  known = realm ? { ...systemClock, wall: () => realm.now(), random: () => realm.random() } : systemClock
  return known
}
