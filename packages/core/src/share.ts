/**
 * Which connection does a read get that may share one: a pure choice over what the pool has learned. Sharing means pipelining on the wire: the statement is
 * sent behind others that have not been answered, and is answered behind them.
 */

/** What is known when a read of `pool.query()` wants a connection. */
export interface PlaceFacts {
  /** A connection that may be handed out unasked, and that no caller has. */
  readonly hasIdle: boolean
  /** How long the statements ahead will still take on the connection that is free first, of those that may be shared. Undefined: there is none. */
  readonly aheadMillis: number | undefined
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
 * - `idle`: it takes the idle connection.
 * - `share`: it goes out now, behind those ahead. `share and dial`: and one more connection is opened, for those who come next.
 * - `wait`: until a connection is free. `dial`: the same, and one is opened for it.
 */
export type Place = 'idle' | 'share' | 'share and dial' | 'wait' | 'dial'

/** Read top to bottom, the first line that applies wins. */
export function choosePlace(facts: PlaceFacts): Place {
  const { aheadMillis, hasRoom, dialling, dialMillis } = facts
  if (facts.hasIdle) return 'idle'
  if (aheadMillis === undefined) return hasRoom ? 'dial' : 'wait'
  // The order is the one that waiting has: no caller is served later than it would have been.
  if (facts.max === 1) return 'share'
  if (facts.isSlow) return hasRoom ? 'dial' : 'wait'
  if (!hasRoom) return 'share'
  // Each dial that is under way will take its part of those who come next.
  if (aheadMillis > dialMillis * (1 + dialling)) return 'dial'
  // It is the server's work that is waited for, not the distance: another backend helps. One at a time.
  return dialling === 0 && aheadMillis > facts.roundTripMillis ? 'share and dial' : 'share'
}
