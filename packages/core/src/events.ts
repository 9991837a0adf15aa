/** What happened: past tense, one union, nothing secret, free without a listener. */

import type { FleetTrouble } from './fleet.ts'
import type { EvictReason } from './gate.ts'
import type { LostStatement, Outcome, OutcomeReason } from './outcome.ts'

/** Why an idle connection was evicted: by the gate's verdict, or because it did not answer the probe. */
export type StaleReason = EvictReason | 'unanswered'

/** What happened. `type` says what; the other fields depend on it. Durations end in `Millis`. */
export type ThawEvent =
  /** The clocks prove that the process was frozen. */
  | { readonly type: 'thawed'; readonly gapMillis: number }
  /** The sockets were polled at acquire: how many idle connections there were, and how many of them turned out dead. */
  | { readonly type: 'socketsPolled'; readonly idle: number; readonly dead: number }
  /** A probe was answered, or was not. */
  | { readonly type: 'probed'; readonly alive: boolean; readonly tookMillis: number; readonly silenceMillis: number }
  /** An idle connection was found dead or too old, and destroyed. `code` if the server or the socket gave one. */
  | { readonly type: 'stale'; readonly reason: StaleReason; readonly silenceMillis: number; readonly code?: string }
  /** A new connection was opened. `hedge`: beside one whose reply was late. */
  | { readonly type: 'connected'; readonly tookMillis: number; readonly attempts: number; readonly hedge?: true }
  /**
   * A caller got a connection: trusted without a probe, unchecked with a probe in front of its read, probed, or new. `waitedMillis`: since
   * it asked, less the time for which the process was frozen meanwhile.
   */
  | { readonly type: 'acquired'; readonly how: 'trusted' | 'piggybacked' | 'probed' | 'new'; readonly waitedMillis: number }
  /**
   * A caller released its connection, or lost it (`lost`). `usedMillis`: since it was acquired. Not emitted for a connection that was acquired
   * before there was a listener.
   */
  | { readonly type: 'released'; readonly usedMillis: number; readonly lost?: true }
  /** A caller waited for a connection, and got none in time. */
  | { readonly type: 'timedOut'; readonly waitedMillis: number }
  /** A connection attempt, a statement that was certainly not executed, or a transaction of which nothing is stored, is retried. */
  | {
      readonly type: 'retried'
      readonly what: 'connect' | 'statement' | 'transaction'
      readonly delayMillis: number
      readonly code?: string
    }
  /**
   * A statement lost its connection: what became of it, what it was, and whether it was sent again, reported to its caller, or found to have
   * been executed by asking the server, so that its caller got the result. `code` if the server or the socket gave one.
   */
  | {
      readonly type: 'outcome'
      readonly outcome: Outcome
      /** `committed`: the server said so when it was asked. */
      readonly reason: OutcomeReason | 'committed'
      readonly statement: LostStatement['kind']
      readonly action: 'retried' | 'reported' | 'resolved'
      readonly code?: string
    }
  /** A connection was lost that had session state: SET, LISTEN, PREPARE, temporary tables, session locks. */
  | { readonly type: 'sessionLost' }
  /**
   * A new connection found the server too full, and ended idle sessions of its fleet. `sessions`: how many. `spared`: how many it left, because a caller has them or has
   * left session state. `used` and `limit`: by the limit that was nearest, the new connection included.
   */
  | { readonly type: 'evicted'; readonly sessions: number; readonly spared: number; readonly used: number; readonly limit: number }
  /** The fleet goes on without ending sessions, or with less than was wanted. Told once for each reason. `code` where the server gave one. */
  | { readonly type: 'fleetTrouble'; readonly reason: FleetTrouble; readonly code?: string }
  /**
   * The pool prepares no statements by itself any more (option `prepare`): there is a pooler in between, or the server kept losing what was prepared (DISCARD ALL,
   * a pooler that was not detected).
   */
  | { readonly type: 'prepareStopped'; readonly reason: 'pooler' | 'names-lost' }
  /** The pool has ended. `destroyed` connections were still in use when the time was up. */
  | { readonly type: 'drained'; readonly destroyed: number }

/** Called with each event, at the moment when it happens. What it throws is dropped. */
export type ThawListener = (event: ThawEvent) => void

/** How often each event has happened. */
export type EventCounts = Record<ThawEvent['type'], number>

/** A further listener: channels of the process, which belong to no pool. */
export interface Broadcast {
  /** Is there a listener for this type of event? Asked each time. */
  hears(type: ThawEvent['type']): boolean
  /** Must not throw. */
  tell(event: ThawEvent): void
}

/** A list of listeners. */
export interface Events {
  /** How often each event has happened. Where an event object is not worth making, count here. */
  readonly counts: EventCounts
  /** Is there any listener? */
  readonly active: boolean
  /** Is there a listener for this type of event? Ask before building an event that is frequent. */
  hears(type: ThawEvent['type']): boolean
  /** Adds a listener and returns the function that removes it. */
  subscribe(listener: ThawListener): () => void
  /** Counts the event and calls every listener. */
  emit(event: ThawEvent): void
}

const NONE: EventCounts = {
  thawed: 0,
  socketsPolled: 0,
  probed: 0,
  stale: 0,
  sessionLost: 0,
  connected: 0,
  acquired: 0,
  released: 0,
  timedOut: 0,
  retried: 0,
  outcome: 0,
  evicted: 0,
  fleetTrouble: 0,
  prepareStopped: 0,
  drained: 0,
}

/** The type of each event. */
export const EVENT_TYPES: readonly ThawEvent['type'][] = Object.keys(NONE) as ThawEvent['type'][]

/**
 * A listener that throws, at once or as a promise, must not hurt the pool: what it throws is dropped.
 *
 * @param broadcast - is called after the listeners. Default: there is none.
 */
export function createEvents(broadcast?: Broadcast): Events {
  return new ListenerList(broadcast)
}

/** A class: V8 makes an object literal with a getter in it one of the slow kind, and every statement asks it several times. */
class ListenerList implements Events {
  readonly counts: EventCounts = { ...NONE }
  readonly #listeners = new Set<ThawListener>()
  readonly #broadcast: Broadcast | undefined

  constructor(broadcast: Broadcast | undefined) {
    this.#broadcast = broadcast
  }

  get active(): boolean {
    return this.#listeners.size > 0 || EVENT_TYPES.some((type) => this.#broadcast?.hears(type))
  }

  hears(type: ThawEvent['type']): boolean {
    return this.#listeners.size > 0 || (this.#broadcast?.hears(type) ?? false)
  }

  subscribe(listener: ThawListener): () => void {
    // One entry per subscription, so that subscribing the same function twice and unsubscribing once leaves one.
    const entry: ThawListener = (event) => listener(event)
    this.#listeners.add(entry)
    return () => void this.#listeners.delete(entry)
  }

  emit(event: ThawEvent): void {
    this.counts[event.type]++
    // A copy: a listener added during the call receives the next event, not this one.
    for (const listener of [...this.#listeners]) {
      try {
        const told: unknown = listener(event)
        if (told instanceof Promise) told.catch(() => {})
      } catch {}
    }
    if (this.#broadcast?.hears(event.type)) this.#broadcast.tell(event)
  }
}
