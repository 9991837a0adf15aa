import type { FaultKind } from './fault-kinds.ts'

/** What passed through the proxy, of one connection or of all. Counts only ever grow, until they are reset. */
export interface Traffic {
  /** Bytes and chunks that set out for the other side, also when a cut loses them while a delay holds them. A chunk is what one read of the socket returned. */
  readonly bytesToServer: number
  readonly bytesToClient: number
  readonly chunksToServer: number
  readonly chunksToClient: number
  /** Bytes from either side that were not passed on, because of a fault. */
  readonly bytesLost: number
  /** How often the client began to send after it had been silent or spoken to. */
  readonly flights: number
  /**
   * Flights that the server answered: the round trips that the client had to wait for. Pipelined messages count once, a Terminate without
   * an answer not at all. Opening a plain connection with a SCRAM password costs 3.
   */
  readonly roundTrips: number
  /** How often each fault struck: for the kinds that wait for a byte, when the byte came. */
  readonly struck: Readonly<Record<FaultKind, number>>
}

/** {@link Traffic} of the whole proxy. */
export interface FaultCounters extends Traffic {
  readonly flowsOpened: number
  readonly flowsClosed: number
  /** Sets all counts to zero, and forgets the flows that are closed. */
  reset(): void
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }

/** The writable side of {@link Traffic}. */
export interface TrafficTally extends Writable<Omit<Traffic, 'struck'>> {
  readonly struck: Record<FaultKind, number>
}

/** All counts at zero. */
export function createTally(): TrafficTally {
  return { ...zeroCounts, struck: { ...zeroStrikes } }
}

/** The writable side of {@link FaultCounters}. */
export type WritableCounters = Writable<FaultCounters> & TrafficTally

/** All counts at zero. `onReset` is called after each reset. */
export function createCounters(onReset: () => void): WritableCounters {
  const counters: WritableCounters = {
    ...createTally(),
    flowsOpened: 0,
    flowsClosed: 0,
    reset() {
      const { struck } = counters
      Object.assign(counters, zeroCounts, { flowsOpened: 0, flowsClosed: 0 })
      Object.assign(struck, zeroStrikes)
      onReset()
    },
  }
  return counters
}

const zeroCounts = { bytesToServer: 0, bytesToClient: 0, chunksToServer: 0, chunksToClient: 0, bytesLost: 0, flights: 0, roundTrips: 0 }

const zeroStrikes: Readonly<Record<FaultKind, number>> = {
  fin: 0,
  rst: 0,
  'fin-on-next-byte': 0,
  'rst-on-next-byte': 0,
  drop: 0,
  deaf: 0,
  'lost-request': 0,
  'lost-answer': 0,
}
