import type { CutKind, ServerSide } from './fault-kinds.ts'
import type { Traffic } from './traffic.ts'

/**
 * - `open`: relayed.
 * - `armed`: the client's next byte ends it.
 * - `silent`: nothing is relayed any more, and neither side was told.
 * - `cut`: we told the client (FIN or RST).
 * - `closed`: the client's connection is gone, closed from either side.
 */
export type FlowState = 'open' | 'armed' | 'silent' | 'cut' | 'closed'

/** A chunk that arrived at the proxy. */
export interface FlowChunk {
  readonly direction: 'to-server' | 'to-client'
  /** On the clock of `performance.now()`. */
  readonly atMillis: number
  readonly bytes: number
  readonly data: Buffer
  /** Whether a fault swallowed it. */
  readonly isLost: boolean
}

/** How to cut. */
export interface FlowCutOptions {
  /**
   * What becomes of the connection to the server. Default: closed at once, as if the server had forgotten it; but held open in silence for
   * `drop`, since neither side is told: the server keeps the session, as it does behind a silent NAT.
   *
   * Closing does not stop a statement that runs: PostgreSQL looks at the connection when the statement is done.
   */
  readonly server?: ServerSide
}

/** One connection of a client through the proxy. */
export interface Flow {
  /** Counts up from 1 in the order of arrival. */
  readonly id: number
  /** The port that the client connected from, as in `socket.localPort` on its side. */
  readonly clientPort: number
  /** On the clock of `performance.now()`. */
  readonly openedAtMillis: number
  readonly state: FlowState
  readonly traffic: Traffic
  /** All chunks, both ways, in the order of arrival. Empty unless the proxy was started with `record: true`. */
  readonly chunks: readonly FlowChunk[]
  /** Cuts this connection alone. False if it was cut, silent in the same way, or closed already. */
  cut(kind: CutKind, options?: FlowCutOptions): boolean
}
