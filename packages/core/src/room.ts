/** May another connection be opened, and is there one too many? Rules over counts; a driver does what they say. */

/** A pool, counted. */
export interface PoolCounts {
  /** Callers that wait for a connection. */
  readonly waiting: number
  /** Connection attempts that may be expected to finish soon. */
  readonly dialling: number
  /** Connection attempts that take so long that they are no longer counted on. */
  readonly overdue: number
  /** Connections not in use: being probed, or about to be handed out. */
  readonly idle: number
  /** Idle connections whose reply has been due for longer than the hedge delay, including those that are raced. */
  readonly late: number
  /** Late ones beside which a connection attempt has begun. */
  readonly raced: number
  /** All connections of the pool, including attempts under way. */
  readonly total: number
  /** How many it may have. */
  readonly max: number
}

/**
 * Is a connection attempt needed, because a caller waits for whom there is neither an idle connection nor an attempt? Is a hedge worth it,
 * because everything that the caller can expect is late? A raced connection and an overdue attempt do not count as something to expect. One
 * of them, but no more, does not count towards `max` either: so a pool of one can hedge, and a pool of ten never has more than eleven.
 */
export function nextDial(counts: PoolCounts): 'needed' | 'hedge' | undefined {
  const { waiting, dialling, idle, late, raced } = counts
  const unserved = waiting - dialling
  if (unserved > idle - raced && roomLeft(counts) > 0) return 'needed'
  if (late > raced && unserved > idle - late && roomLeft({ ...counts, raced: raced + 1 }) > 0) return 'hedge'
  return undefined
}

/** How many more connections there may be. Negative: there are too many. */
export function roomLeft({ total, raced, overdue, max }: Pick<PoolCounts, 'total' | 'raced' | 'overdue' | 'max'>): number {
  return max - (total - Math.min(1, raced + overdue))
}

/** Counts of the connections in use, for a pool in which a caller waits and gets none. */
export interface InUseCounts {
  /** Connections held by a caller that runs nothing on them. */
  readonly resting: number
  /** All connections of the pool, including idle ones and attempts under way. */
  readonly total: number
}

/**
 * Could the pool be waiting for itself? A caller waits, and every caller that could release a connection is doing something else: perhaps
 * waiting for this very pool. While one connection runs a statement, a release is still likely, without anyone else's help.
 */
export function waitsForItself({ resting, total }: InUseCounts): boolean {
  return total > 0 && resting === total
}

/** A pool in which a caller waits although every place is taken. */
export interface Jam extends InUseCounts {
  /** Callers that wait. */
  readonly waiting: number
  /**
   * For how many looks, 25 ms apart, the same caller has been first in the queue. Looks rather than time, because a frozen process can lose
   * any amount of time.
   */
  readonly looks: number
  /** Was every connection held without a statement at the previous look, too? */
  readonly wasHeldAtRest: boolean
}

/** A quarter of a second in which nothing was released to the first waiting caller, while another caller held a connection and ran nothing. */
const LOOKS_BESIDE_REST = 10
/** A second in which nothing was released at all. */
const MOST_LOOKS = 40

/**
 * How many more connections does a pool need that may be waiting for itself? One, if every connection is held by a caller that runs
 * nothing: a caller that moves on to its next statement has sent it between two looks. As many as there are waiting callers, if nothing is
 * released to the first of them: a caller may be waiting for the pool while its own connection is working, in a COPY that the pool's rows
 * feed, or while the others are, behind the row that it has locked.
 */
export function growth(jam: Jam): number {
  if (waitsForItself(jam) && jam.wasHeldAtRest) return 1
  return jam.looks >= (jam.resting > 0 ? LOOKS_BESIDE_REST : MOST_LOOKS) ? jam.waiting : 0
}
