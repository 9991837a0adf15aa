/** Reads that are issued at one moment: on which connection the next one may go out with those before it, in one write. */

import type { PeerClient } from '../driver/peer.ts'

/** So much goes out in one write, on one connection, before another is looked for: a write costs our thread, and the server's, more than a quick read does. */
const MOST_IN_A_WRITE = 16
const MOST_MILLIS_IN_A_WRITE = 4
/** Of one moment are those between which there is no more than this: our own work on each takes a third of it. */
const MOST_APART_MILLIS = 0.1
/** So many of them get connections of their own before others go out together: the server works on one while we work on the other. */
const OWN_AT_FIRST = 2

export class Moment {
  /** The connection on which a write goes out at the end of this tick, and what is in it. */
  #gathering: PeerClient | undefined
  #gathered = 0
  #gatheredMillis = 0
  /** The latest that got a connection for itself. */
  #latest: PeerClient | undefined
  #latestAt = Number.NEGATIVE_INFINITY
  #reads = 0

  gathers(client: PeerClient): void {
    if (this.#gathering === client) return
    this.#gathering = client
    this.#gathered = 1
    this.#gatheredMillis = 0
  }

  hasSent(client: PeerClient): void {
    if (this.#gathering === client) this.#gathering = undefined
  }

  /** One more was asked. `alone`: it got this connection for itself. */
  asked(at: number, alone?: PeerClient): void {
    this.#reads = at - this.#latestAt <= MOST_APART_MILLIS ? this.#reads + 1 : 1
    this.#latestAt = at
    if (alone) this.#latest = alone
  }

  /** May the next one join them, though a connection rests? Free to ask: the moment may have passed. */
  get mayJoin(): boolean {
    return this.#reads >= OWN_AT_FIRST
  }

  isOver(now: number): boolean {
    return now - this.#latestAt > MOST_APART_MILLIS
  }

  /** The connection on which a write is still to go out, unless much is in it already. */
  get gathering(): PeerClient | undefined {
    const isFull = this.#gathered >= MOST_IN_A_WRITE || this.#gatheredMillis >= MOST_MILLIS_IN_A_WRITE
    return isFull ? undefined : this.#gathering
  }

  /** The same; where there is none, that on which the latest has just gone out. */
  get joinable(): PeerClient | undefined {
    return this.#gathering ? this.gathering : this.#latest
  }

  add(millis: number = MOST_MILLIS_IN_A_WRITE): void {
    this.#gathered++
    this.#gatheredMillis += millis
  }
}
