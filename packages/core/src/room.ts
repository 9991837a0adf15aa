/** May another connection be dialled, and is there one too many? Rules over counts; a driver does what they say. */

/** A pool, counted. */
export interface PoolCounts {
  /** Callers who wait for a connection. */
  readonly waiting: number
  /** Dials of which an end may be hoped for. */
  readonly dialling: number
  /** Dials that take so long that nobody hopes for them. */
  readonly overdue: number
  /** Connections that nobody has; they are being asked, or somebody would have them. */
  readonly idle: number
  /** Idle connections that have owed an answer for longer than the hedge delay. Those that are raced included. */
  readonly late: number
  /** Late ones for which a dial was begun beside. */
  readonly raced: number
  /** All connections of the pool, those that are dialled included. */
  readonly total: number
  /** How many it may have. */
  readonly max: number
}

/**
 * Is a dial needed, because somebody waits for whom there is neither an idle connection nor a dial? Is it worth a hedge, because everything he can
 * hope for is late? A connection that is raced, and a dial that is overdue, count neither as a hope nor, but for one of them, as a place taken: so that a pool of one can
 * hedge, and a pool of ten never has more than eleven.
 */
export function nextDial(counts: PoolCounts): 'needed' | 'hedge' | undefined {
  const { waiting, dialling, idle, late, raced } = counts
  const unserved = waiting - dialling
  if (unserved > idle - raced && roomLeft(counts) > 0) return 'needed'
  if (late > raced && unserved > idle - late && roomLeft({ ...counts, raced: raced + 1 }) > 0) return 'hedge'
  return undefined
}

/** How many connections there may be beside those that there are. Negative: there are too many. */
export function roomLeft({ total, raced, overdue, max }: Pick<PoolCounts, 'total' | 'raced' | 'overdue' | 'max'>): number {
  return max - (total - Math.min(1, raced + overdue))
}

/** Who has the connections of a pool for which somebody waits in vain. */
export interface InUseCounts {
  /** Connections that a caller holds and runs nothing on. */
  readonly resting: number
  /** All connections of the pool, idle ones and those that are dialled included. */
  readonly total: number
}

/**
 * Must the pool be afraid that it waits for itself? Somebody waits, and whoever could give a connection back is doing something else: perhaps waiting for
 * this very pool. Where one connection runs a statement there is still a hope that does not depend on anybody.
 */
export function waitsForItself({ resting, total }: InUseCounts): boolean {
  return total > 0 && resting === total
}

/** A pool in which a caller waits although every place is taken. */
export interface Jam extends InUseCounts {
  /** Callers that wait. */
  readonly waiting: number
  /** For how many looks, 25 ms apart, the same caller has been the first. Looks, not time, of which a frozen process loses any amount. */
  readonly looks: number
  /** Was every connection held at rest at the look before, too? */
  readonly wasHeldAtRest: boolean
}

/** A quarter of a second in which nothing came back to the first who waits, while a holder ran nothing. */
const LOOKS_BESIDE_REST = 10
/** A second in which nothing came back at all. */
const MOST_LOOKS = 40

/**
 * How many connections more does a pool need that may wait for itself? One where every connection is held at rest: a holder that goes on to its next
 * statement has sent it between two looks. As many as callers wait where nothing comes back to the first of them: a holder may wait for the pool while its
 * own connection is at work, in a COPY that the pool's rows feed, or while the others are, behind the row that it has locked.
 */
export function growth(jam: Jam): number {
  if (waitsForItself(jam) && jam.wasHeldAtRest) return 1
  return jam.looks >= (jam.resting > 0 ? LOOKS_BESIDE_REST : MOST_LOOKS) ? jam.waiting : 0
}
