/**
 * The health check at acquire: may this idle connection be handed out? Read top to bottom: the first line that applies wins. Nothing here
 * keeps state or sends anything: a driver brings what it knows about a connection and does what the verdict says.
 */

/** What a driver knows about an idle connection when a caller wants one. */
export interface IdleConnection {
  /** The socket itself is known to be dead: ended, destroyed, or in error. */
  readonly broken: boolean
  /** The pool's generation when the connection was opened. */
  readonly generation: number
  /** When the server last proved it alive by sending bytes, on the monotonic clock. */
  readonly provenAt: number
  /** Time since the server last proved it alive, by the larger of the two clocks. */
  readonly silenceMillis: number
  /** Time since it was released to the pool, by the larger of the two clocks. */
  readonly idleMillis: number
  /** Time since it was opened, by the larger of the two clocks. */
  readonly ageMillis: number
  /** It is evicted once it is older than this. Infinity: never. */
  readonly maxAgeMillis: number
}

/** The limits that a connection is held to. */
export interface GateRules {
  /** The pool's current generation. It grows on proof that the server is a different one, and evicts every older connection. */
  readonly generation: number
  /**
   * When all connections last became suspect at once (a sibling died, the process was frozen), on the monotonic clock. A proof of life from
   * before that counts for nothing.
   */
  readonly suspectSince: number
  /** A connection that has been silent for less is handed out without a probe. HikariCP uses 500 ms, pgx 1 s, Rails 2 s. */
  readonly trustMillis: number
  /** A connection that has been unused for longer is evicted without a probe. Infinity: never. */
  readonly idleTimeoutMillis: number
}

/** Why a connection is destroyed at acquire. */
export type EvictReason = 'broken' | 'generation' | 'lifetime' | 'idle'

/** `trust`: hand it out. `probe`: poll the sockets, judge again, and probe it if it is still open. Anything else: evict it, for that reason. */
export type GateVerdict = 'trust' | 'probe' | EvictReason

/** Judges one idle connection. */
export function judge(connection: IdleConnection, rules: GateRules): GateVerdict {
  if (connection.broken) return 'broken'
  if (connection.generation < rules.generation) return 'generation'
  if (connection.ageMillis > connection.maxAgeMillis) return 'lifetime'
  if (connection.idleMillis > rules.idleTimeoutMillis) return 'idle'
  if (connection.provenAt <= rules.suspectSince) return 'probe'
  if (connection.silenceMillis >= rules.trustMillis) return 'probe'
  return 'trust'
}
