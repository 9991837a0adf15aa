/** A read that shares a connection, and what the connection owes, as the rest of the pool sees them. */

import type { Pace, Reading } from '@thaw/core'
import type { PeerClient, PeerQuery } from '../driver/peer.ts'
import type { Bounds } from './interruption.ts'

/** One answer that is expected. The ledger keeps its books in it. */
export interface Expected {
  readonly shareable: Shareable
  /** For how long the server usually works on it. */
  readonly workMillis: number
  /** Would it hold up the others? */
  readonly isSlow: boolean
  /** Does it take the server next to no time? */
  readonly isTiny: boolean
  /** On the monotonic clock. */
  readonly sentAt: number
  /** The statement, if it is usually quick and may be one of a run: those of one statement that go out one behind the other. */
  readonly runKey: string | undefined
  /** It has no Sync of its own: the server goes on with the next one of its run, and is ready behind the last. */
  isJoined: boolean
  /** Another one of its run was refused, so that nothing of it counts; or it was not sent, because it is not what was judged. It is sent again, by itself. */
  isDropped: boolean
  /** It was sent under a name that turned out to be wrong on this connection: an error may be the name's. */
  hasOldName: boolean
  /** Its caller was told, or will be when this tick has ended. */
  readonly isEnded: boolean
  query: PeerQuery | undefined
  /** When it was written, in a fleet: what its answer proves begins then. */
  askedFrom: Reading | undefined
  /** `ahead`: it was sent before the one in front of it was answered. `waiting`: until this tick has ended, in which it is `writing` for a moment. */
  state: 'plain' | 'waiting' | 'writing' | 'ahead'
  /** Its own time begins to run once it is at the head. */
  begin: (() => void) | undefined
  /** The one at the head takes too long: it had better be sent elsewhere as well. */
  race(): void
  /** It is not, and may be. */
  readonly mayRace: boolean
  /** Neither is its answer in, nor has another connection given it. */
  readonly isAwaited: boolean
  /**
   * It waits behind others, and no longer than for a connection of its own: its caller is told when its time is up. Time asleep is not charged, which the time since `lookedAt`
   * shows. Returns how long it may still wait, in milliseconds.
   */
  waits(lookedAt: number, now: number): number
}

/** A call of `pool.query()`, as far as it matters to those who may share a connection with it. */
export interface Reader {
  readonly text: unknown
  readonly values: unknown
  /** May it share? Looked at when another caller wants to know. */
  shareable?: Shareable | null | undefined
  /** It shares a connection: the ledger gives that back. */
  ledger?: SharedConnection | undefined
}

/** A statement that may share a connection. */
export interface Shareable {
  readonly text: string
  readonly name: string | undefined
  readonly pace: Pace
}

/** What a connection owes to those who share it; see `ledger.ts`. */
export interface SharedConnection {
  readonly client: PeerClient
  /** A statement is being added. What reaches the client otherwise is not ours. */
  readonly isAdding: boolean
  /** May another one be added? Not behind a statement on a client that its caller has given back. */
  readonly isOpen: boolean
  readonly length: number
  /** Is one of them usually slow? */
  readonly hasSlow: boolean
  /** Bounds of the statement that is being added: its time runs from the moment in which the server may begin with it. */
  readonly begins: NonNullable<Bounds['begins']>
  /** Its loss was charged to the retry budget: one connection is one loss, however many shared it. */
  isPaid: boolean
  /** How long what was sent will still take. */
  aheadMillis(now: number): number
  /** By how much the answer to the one at the head is late. A round trip is not counted off. */
  overdueMillis(now: number): number
  /** Is one of that name on its way? */
  hasNamed(name: string): boolean
  /** It is closed: those that were sent under it may be refused because of it. */
  nameClosed(name: string): void
  close(): void
  /** It was not sent, and will not be. False: it was. */
  withdraw(query: PeerQuery): boolean
  /** Is it behind others, on its way? Then it cannot be stopped without them; its caller no longer waits for it, and none goes out behind what the server works on for no caller. */
  abandon(query: PeerQuery): boolean
  /** The connection is gone: what was sent and waits behind the head, which is pg's, and what was not sent. */
  takeAll(): {
    readonly sent: readonly PeerQuery[]
    readonly unsent: readonly PeerQuery[]
    /** Was the head sent ahead, too? Then what was noted of the last sending is not about it. */
    readonly isHeadAhead: boolean
  }
  /** The server has finished the one at the head. Goes on with the next one, if the server does. */
  completed(): void
  /**
   * The server is ready: what it says next is for the next one. First the state, then the caller that was at the head is told: by `pg`, which goes on by itself, if nothing
   * was sent ahead. Whatever is thrown then, the last one gives the connection back.
   */
  ready(message: { readonly status?: string | undefined }, pg: () => void): void
  /** A caller has heard that the connection is gone. Who was only refused leaves the others alone. */
  lose(error: Error): void
}
