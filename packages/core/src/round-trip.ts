/** How long a round trip to the server takes, learned from past ones (RFC 6298, section 2). */

/** An estimate, in milliseconds. */
export interface RoundTrip {
  /** The smoothed time: SRTT. */
  readonly smoothedMillis: number
  /** How much samples vary: RTTVAR. */
  readonly variationMillis: number
}

/** RFC 6298: an eighth of the new sample, and a quarter of its deviation. */
const ALPHA = 1 / 8
const BETA = 1 / 4

/**
 * The estimate after one more sample. The first estimate is the sample itself, plus or minus half of it.
 *
 * @param sampleMillis how long the server took to answer something that costs it nothing. Below 0, as when a clock was set back, counts as
 *   0.
 */
export function learnRoundTrip(known: RoundTrip | undefined, sampleMillis: number): RoundTrip {
  const sample = Math.max(0, sampleMillis)
  if (!known) return { smoothedMillis: sample, variationMillis: sample / 2 }
  const { smoothedMillis, variationMillis } = known
  return {
    smoothedMillis: smoothedMillis + ALPHA * (sample - smoothedMillis),
    variationMillis: variationMillis + BETA * (Math.abs(smoothedMillis - sample) - variationMillis),
  }
}
