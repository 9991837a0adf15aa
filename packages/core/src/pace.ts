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
/** A text of which one in twenty takes longer than `SLOW_MILLIS` is slow as well: those behind would wait for these. Two of the last 32; one may have been a stall of the machine's. */
const OFTEN = 1 / 20
const OFTEN_ALPHA = 1 / 32
/** What rare slow answers cost those behind, in the mean of about so many uses: one counts for a tenth of a millisecond at most, and is forgotten unless others follow. */
const RARELY_ALPHA = 1 / 1000
/** What is no more beyond the usual than this is what a busy machine does to any text. */
const RARE_MILLIS = 20
/** Those behind have been answered elsewhere by then: what races is bounded. */
const MOST_RARE_MILLIS = 100
/** Sharing saves a call a round trip, and where the server is near, CPU. Measured there: at a cost of 0.3 ms as much is lost as won. */
const LEAST_SAVED_MILLIS = 0.35
/** The cost counts for so many times what is saved at most: 700 uses without a slow one, and the text is quick again. */
const MOST_SAVED = 2
/** A write and an answer of its own cost a read more than waiting for others that each take up to so long: measured (decision 364), 0.04 ms are won and 0.08 lost. */
const TINY_MILLIS = 0.05
/** In the mean of about so many uses, so that one stall of the machine is not enough: one in a hundred that takes 5 ms is, because those behind it would have been faster elsewhere. */
const TOGETHER_ALPHA = 1 / 512
/** And up to this part of what the same text takes by itself: a stall of a busy machine, or of our own process, is divided by all that waited for it together, a slow answer of the text's is not. */
const SHARE_OF_ALONE = 0.1
/** What is not tiny is tried again after so many uses, and twice as many each time: a text that takes long by its parameter costs those behind it something with each trial. */
const APART_USES = 3000
const MOST_APART_USES = 100_000
/** So many fewer for each use that was quick: what was a busy machine is forgotten after some thousands. */
const FORGIVEN_USES = 10
/** One rare slow answer is enough, for 50 uses or (as long as it counts) 1,600: each of those behind it would have waited. */
const NONE_RARE = RARELY_ALPHA * RARE_MILLIS
/** What takes longer than this by itself, with all that our own thread and the way add, is not tried at all. */
const MOST_TRIED_MILLIS = 1
const MOST_TEXTS = 1000

/** What was learned of one text. */
export interface Pace {
  /** For how long the server usually works on it. Undefined: it was never answered. */
  millis: number | undefined
  /** Which share of its answers took long, of late: by a parameter, or a lock. */
  slowShare: number
  /** By how much its rare slow answers kept those behind waiting, in the mean of its uses. */
  rareMillis: number
  /** For how long the server worked on each, where several went out together: of all of them that is known better than of one. */
  togetherMillis: number
  /** The same by itself, with all that our own thread and a busy machine add. */
  aloneMillis: number
  /** For so many more uses it goes out by itself, because that was too long; and for how many the next time. */
  apartUses: number
  nextApartUses: number
}

/** What was learned of texts. */
export interface Paces {
  /** The shortest time from sending a statement to its answer, of late. 0: nothing was learned. */
  readonly roundTripMillis: number
  /** The text's own, to be kept for as long as it is of use: a look-up costs more than what is done with it. */
  of(text: string): Pace
  /** Would it hold up what is sent behind it? One that was never seen counts as slow. */
  isSlow(pace: Pace): boolean
  /** Does the server take so little time that reads of one moment had better go out together, though connections rest? Tried where that is not known. */
  isTiny(pace: Pace): boolean
  /**
   * It was answered.
   *
   * @param tookMillis since it was sent.
   * @param behindMillis since the answer to the one ahead of it. Infinity: it was the first, or alone.
   * @param isTogether others shared the connection meanwhile.
   */
  learn(pace: Pace, tookMillis: number, behindMillis?: number, isTogether?: boolean): void
}

/** Remembers 1,000 texts at most, in two generations, as `createStatementCache` does. */
export function createPaces(limit: number = MOST_TEXTS): Paces {
  return new PaceBook(limit)
}

/** A class, as `ListenerList` is: a getter in an object literal would slow down all that is asked of it. */
class PaceBook implements Paces {
  roundTripMillis = 0
  readonly #limit: number
  #young = new Map<string, Pace>()
  #old = new Map<string, Pace>()
  #overallMillis = 0
  #answers = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  of(text: string): Pace {
    const known = this.#young.get(text)
    if (known) return known
    const pace = this.#old.get(text) ?? {
      millis: undefined,
      slowShare: 0,
      rareMillis: 0,
      togetherMillis: 0,
      aloneMillis: 0,
      apartUses: 0,
      nextApartUses: APART_USES,
    }
    if (text.length <= LONGEST_REMEMBERED) this.#remember(text, pace)
    return pace
  }

  #remember(text: string, pace: Pace): void {
    if (this.#young.size >= this.#limit / 2) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(text, pace)
  }

  isSlow({ millis, slowShare, rareMillis }: Pace): boolean {
    if (millis === undefined || millis > SLOW_MILLIS || slowShare > OFTEN || rareMillis > this.#savedMillis()) return true
    return millis > QUICK_MILLIS && millis > SLOW_RATIO * this.#overallMillis
  }

  isTiny(pace: Pace): boolean {
    const { millis = Number.POSITIVE_INFINITY, rareMillis, apartUses } = pace
    return apartUses === 0 && millis <= MOST_TRIED_MILLIS && rareMillis <= NONE_RARE && !this.isSlow(pace)
  }

  /** How much sharing saves a call, as far as it weighs against those who wait behind a slow one. */
  #savedMillis(): number {
    return Math.max(LEAST_SAVED_MILLIS, this.roundTripMillis)
  }

  learn(pace: Pace, tookMillis: number, behindMillis = Number.POSITIVE_INFINITY, isTogether = false): void {
    const isAlone = behindMillis === Number.POSITIVE_INFINITY
    if (isAlone && (this.roundTripMillis === 0 || tookMillis < this.roundTripMillis)) this.roundTripMillis = tookMillis
    // It could not begin before it had arrived, nor before the one ahead had ended.
    const sample = Math.min(MOST_MILLIS, Math.max(0, Math.min(behindMillis, tookMillis - this.roundTripMillis)))
    // The first ones count alike: on a machine that is busy from the start all of them take long.
    this.#answers++
    this.#overallMillis += Math.max(OVERALL_ALPHA, 1 / this.#answers) * (sample - this.#overallMillis)
    const beyondMillis = sample - (pace.millis ?? sample)
    const isUnusual = beyondMillis > RARE_MILLIS
    // What takes so much longer than usual says nothing of the way.
    if (isAlone && !isUnusual) this.roundTripMillis += FLOOR_ALPHA * (tookMillis - this.roundTripMillis)
    const isRare = isUnusual && pace.slowShare <= OFTEN
    pace.rareMillis += RARELY_ALPHA * ((isRare ? Math.min(MOST_RARE_MILLIS, beyondMillis) : 0) - pace.rareMillis)
    if (isRare) pace.rareMillis = Math.min(pace.rareMillis, MOST_SAVED * this.#savedMillis())
    pace.slowShare += OFTEN_ALPHA * (Number(sample > SLOW_MILLIS) - pace.slowShare)
    if (isTogether) this.#learnTogether(pace, sample)
    else this.#learnAlone(pace, sample)
    pace.millis = pace.millis === undefined ? sample : pace.millis + ALPHA * (sample - pace.millis)
  }

  #learnAlone(pace: Pace, sample: number): void {
    pace.aloneMillis += TOGETHER_ALPHA * (Math.min(RARE_MILLIS, sample) - pace.aloneMillis)
    if (pace.apartUses > 0) pace.apartUses--
  }

  #learnTogether(pace: Pace, sample: number): void {
    pace.togetherMillis += TOGETHER_ALPHA * (Math.min(RARE_MILLIS, sample) - pace.togetherMillis)
    if (pace.togetherMillis <= Math.max(TINY_MILLIS, SHARE_OF_ALONE * pace.aloneMillis)) {
      pace.nextApartUses = Math.max(APART_USES, pace.nextApartUses - FORGIVEN_USES)
      return
    }
    pace.togetherMillis = 0
    pace.apartUses = pace.nextApartUses
    pace.nextApartUses = Math.min(MOST_APART_USES, 2 * pace.nextApartUses)
  }
}
