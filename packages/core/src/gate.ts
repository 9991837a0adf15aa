/**
 * The question at the door: may this idle connection be handed out? Read top to bottom, the first line that applies wins.
 * Nothing here remembers or asks anything: a driver brings what it knows about a connection and does what the verdict says.
 */

/** What a driver knows about an idle connection when somebody wants it. */
export interface IdleConnection {
  /** The socket itself says that it is dead: ended, destroyed, errored. */
  readonly broken: boolean
  /** The pool's generation when the connection was made. */
  readonly generation: number
  /** When the server last proved it alive by sending bytes, on the monotonic clock. */
  readonly provenAt: number
  /** Time since the server last proved it alive, by the larger of the two clocks. */
  readonly silenceMillis: number
  /** Time since it was given back to the pool, by the larger of the two clocks. */
  readonly idleMillis: number
  /** Time since it was made, by the larger of the two clocks. */
  readonly ageMillis: number
  /** It is destroyed once it is older than this. Infinity: never. */
  readonly maxAgeMillis: number
}

/** The windows a connection is held to. */
export interface GateRules {
  /** The pool's generation now. It grows on proof that the server is another one, and condemns every older connection. */
  readonly generation: number
  /**
   * When something last cast doubt on all connections at once (a sibling died, the process was frozen), on the monotonic
   * clock. What was proven until then proves nothing any more.
   */
  readonly suspectSince: number
  /** A connection silent for less is handed out unasked. HikariCP uses 500 ms, pgx 1 s, Rails 2 s. */
  readonly trustMillis: number
  /** A connection unused for longer is destroyed unasked. Infinity: never. */
  readonly idleTimeoutMillis: number
}

/** Why a connection is destroyed at the door. */
export type EvictReason = 'broken' | 'generation' | 'lifetime' | 'idle'

/** `trust`: hand it out. `ask`: poll the sockets, judge again, and probe it if it is still open. Anything else: destroy it, for that reason. */
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
