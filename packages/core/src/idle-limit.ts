/**
 * How long a silence does a connection not survive? Nobody tells: a NAT, a proxy or a server that closes idle connections
 * after n seconds shows it by the first one that it kills.
 */

/** The shortest silence, in milliseconds, that killed a connection. Infinity: none did so far. */
export type ShortestDeath = number

/** How far below a fatal silence we stay: nothing promises that the next kill comes exactly as late. */
export const SAFETY_FACTOR = 0.8
/**
 * Never learn a limit below this. A restart or a network fault kills connections of any age and would else teach that
 * half a second of silence is fatal; 5 s is the shortest idle time that any host we know of uses.
 */
export const LEAST_LEARNED_MILLIS = 5000

/** The silence beyond which a connection is destroyed unasked. */
export function fatalSilenceMillis(shortest: ShortestDeath): number {
  return Math.max(LEAST_LEARNED_MILLIS, shortest * SAFETY_FACTOR)
}

/** A connection was found dead after this much silence, and the server had not said why. */
export function learnDeath(shortest: ShortestDeath, silenceMillis: number): ShortestDeath {
  return Math.min(shortest, silenceMillis)
}

/** A connection was alive after this much silence: if that is longer than what we thought fatal, we were wrong. */
export function learnSurvival(shortest: ShortestDeath, silenceMillis: number): ShortestDeath {
  return silenceMillis > shortest ? Number.POSITIVE_INFINITY : shortest
}
