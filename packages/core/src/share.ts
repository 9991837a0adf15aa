/**
 * Which connection does a read get that may share one: a pure choice over what the pool has learned. Sharing means pipelining on the wire: the statement is
 * sent behind others that have not been answered, and is answered behind them.
 */

/** What is known when a read of `pool.query()` wants a connection, and none is idle. */
export interface PlaceFacts {
  /** How long the statements ahead will still take on the connection that is free first, of those that may be shared. */
  readonly aheadMillis: number
  /** Its text usually takes long, or was never seen. */
  readonly isSlow: boolean
  /** The usual round trip. */
  readonly roundTripMillis: number
  /** How long a dial usually takes. */
  readonly dialMillis: number
  /** Dials that are under way. */
  readonly dialling: number
  /** There may be one connection more. */
  readonly hasRoom: boolean
  /** How many connections there may be. */
  readonly max: number
}

/**
 * - `share`: it goes out now, behind those ahead. `share and dial`: and one more connection is opened, for those who come next.
 * - `own`: it waits until a connection is free, or has been opened.
 */
export type Place = 'share' | 'share and dial' | 'own'

/** No connection is idle, and one may be shared. Read top to bottom, the first line that applies wins. */
export function choosePlace({ aheadMillis, isSlow, roundTripMillis, dialMillis, dialling, hasRoom, max }: PlaceFacts): Place {
  // The order is the one that waiting has: each waits for those before it, as it would in the queue. Those of a run (reads of one text that went out together) also wait for the
  // rest of it, which is usually at most 2 ms of work.
  if (max === 1) return 'share'
  if (isSlow) return 'own'
  if (!hasRoom) return 'share'
  // Each dial that is under way will take its part of those who come next.
  if (aheadMillis > dialMillis * (1 + dialling)) return 'own'
  // It is the server's work that is waited for, not the distance: another backend helps. One at a time.
  return dialling === 0 && aheadMillis > roundTripMillis ? 'share and dial' : 'share'
}
