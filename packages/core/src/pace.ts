/** How long the server usually works on each text, learned from its answers: what may be sent ahead of others, and what would hold them up. */

import { LONGEST_REMEMBERED } from './statement-cache.ts'

/** Up to so long no caller minds a statement ahead. */
const QUICK_MILLIS = 5
/** A text that takes longer is slow, however slow the others are. */
const SLOW_MILLIS = 50
/** In between it is slow if it takes so many times what the others take: a busy machine makes all of them take longer. */
const SLOW_RATIO = 3
/** What a sample counts at most. One that is longer was a freeze, or a lock. */
const MOST_MILLIS = 250
/** RFC 6298's share of a new sample, and for what is learned from all texts together. */
const ALPHA = 1 / 8
const OVERALL_ALPHA = 1 / 32
/** The shortest round trip that was seen is forgotten slowly: the way may have become longer. */
const FLOOR_ALPHA = 1 / 256
const MOST_TEXTS = 1000

/** What was learned of one text. */
export interface Pace {
  /** For how long the server usually works on it. Undefined: it was never answered. */
  millis: number | undefined
}

/** What was learned of texts. */
export interface Paces {
  /** The shortest time from sending a statement to its answer, of late. 0: nothing was learned. */
  readonly roundTripMillis: number
  /** The text's own, to be kept for as long as it is of use: a look-up costs more than what is done with it. */
  of(text: string): Pace
  /** Would it hold up what is sent behind it? One that was never seen counts as slow. */
  isSlow(pace: Pace): boolean
  /**
   * It was answered.
   *
   * @param tookMillis since it was sent.
   * @param behindMillis since the answer to the one ahead of it. Infinity: it was alone.
   */
  learn(pace: Pace, tookMillis: number, behindMillis?: number): void
}

/** Remembers 1,000 texts at most, in two generations, as `createStatementCache` does. */
export function createPaces(limit: number = MOST_TEXTS): Paces {
  let young = new Map<string, Pace>()
  let old = new Map<string, Pace>()
  let roundTripMillis = 0
  let overallMillis = 0
  let answers = 0
  const remember = (text: string, pace: Pace) => {
    if (young.size >= limit / 2) {
      old = young
      young = new Map()
    }
    young.set(text, pace)
    return pace
  }
  return {
    get roundTripMillis() {
      return roundTripMillis
    },
    of(text) {
      const known = young.get(text)
      if (known) return known
      return text.length > LONGEST_REMEMBERED ? { millis: undefined } : remember(text, old.get(text) ?? { millis: undefined })
    },
    isSlow({ millis }) {
      if (millis === undefined || millis > SLOW_MILLIS) return true
      return millis > QUICK_MILLIS && millis > SLOW_RATIO * overallMillis
    },
    learn(pace, tookMillis, behindMillis = Number.POSITIVE_INFINITY) {
      if (behindMillis === Number.POSITIVE_INFINITY) {
        const isLess = roundTripMillis === 0 || tookMillis < roundTripMillis
        roundTripMillis = isLess ? tookMillis : roundTripMillis + FLOOR_ALPHA * (tookMillis - roundTripMillis)
      }
      // It could not begin before it had arrived, nor before the one ahead had ended.
      const sample = Math.min(MOST_MILLIS, Math.max(0, Math.min(behindMillis, tookMillis - roundTripMillis)))
      // The first ones count alike: on a machine that is busy from the start all of them take long.
      answers++
      overallMillis += Math.max(OVERALL_ALPHA, 1 / answers) * (sample - overallMillis)
      pace.millis = pace.millis === undefined ? sample : pace.millis + ALPHA * (sample - pace.millis)
    },
  }
}
