import type { ServerSide, SuddenCut } from './fault-kinds.ts'
import type { Flow } from './flow.ts'

// A bare protocol Sync is 5 bytes, 27 in TLS; the shortest useful query message is longer. So probes do not trigger an ambush.
const MIN_BYTES = 32

/** The fields of an ErrorResponse. */
export interface ErrorResponse {
  /** As it is translated for the client. Default: `FATAL`. */
  readonly severity?: string
  /** SQLSTATE. */
  readonly code: string
  readonly message: string
}

/** Which request an ambush waits for, and what the client then sees. */
export interface LoseRequestOptions {
  /**
   * Passes over chunks shorter than this. Default: 32, so that a bare `Sync` (5 bytes, 27 in TLS) is no request; 0 with `containing`, so
   * that `COMMIT` (12 bytes) is one.
   */
  readonly minBytes?: number
  /** Waits for a chunk with this text in it, such as a part of the SQL. For connections without TLS. */
  readonly containing?: string
  /** What the client sees. Default: `rst`, or `fin` with `errorResponse`, which a reset would overtake. */
  readonly cut?: SuddenCut
  /** What the client receives before the cut: an ErrorResponse, as a pooler or a proxy sends it. For connections without TLS. */
  readonly errorResponse?: ErrorResponse
  /** What becomes of the server's side. Default: closed, but held open for `drop`, since neither side is told. */
  readonly server?: ServerSide
}

/** Which request's answer is lost, and when. */
export interface LoseAnswerOptions extends LoseRequestOptions {
  /**
   * When the server counts as having answered: at its first bytes after the request (the default), or when its bytes end with ReadyForQuery.
   * PostgreSQL sends the answer to a short autocommit statement as a whole, after its commit, so the first bytes will do. Take
   * `ready-for-query` for statements with many rows or with a `Flush` in front; it cannot be seen inside TLS.
   */
  readonly until?: 'first-bytes' | 'ready-for-query'
  /** Lets this many bytes of the answer through before the cut: an answer that breaks off midway. Default: 0. */
  readonly afterBytes?: number
}

/** A fault that waits for its victim, and strikes once. */
export interface Ambush {
  /** Settles with the connection that was struck. Stays pending if none ever is. */
  readonly struck: Promise<Flow>
  /** Calls it off. Does nothing once it has struck. */
  cancel(): void
}

/** An ambush as the flows see it. */
export interface ArmedAmbush {
  readonly target: 'request' | 'answer'
  readonly options: LoseAnswerOptions
  /** Reports that it struck. */
  spring(flow: Flow): void
}

/** The ambushes that wait, oldest first. */
export interface Ambushes {
  lay(target: 'request' | 'answer', options: LoseAnswerOptions): Ambush
  /** The ambush that a chunk from the client triggers, if any. It is taken off the list. */
  take(chunk: Buffer): ArmedAmbush | undefined
}

/** Makes an empty list. */
export function createAmbushes(): Ambushes {
  const waiting = new Set<ArmedAmbush>()
  return {
    lay(target, options) {
      let spring: (flow: Flow) => void = () => {}
      const struck = new Promise<Flow>((resolve) => {
        spring = resolve
      })
      const armed = { target, options, spring }
      waiting.add(armed)
      return { struck, cancel: () => void waiting.delete(armed) }
    },
    take(chunk) {
      for (const armed of waiting) {
        if (!matches(chunk, armed.options)) continue
        waiting.delete(armed)
        return armed
      }
      return undefined
    },
  }
}

function matches(chunk: Buffer, { containing, minBytes = containing === undefined ? MIN_BYTES : 0 }: LoseRequestOptions): boolean {
  return chunk.length >= minBytes && (containing === undefined || chunk.includes(containing))
}

/** Whether the server's answer is complete enough for the ambush to strike. */
export function isAnswered(answer: Buffer, { until = 'first-bytes', afterBytes = 0 }: LoseAnswerOptions): boolean {
  if (answer.length < afterBytes) return false
  return until === 'first-bytes' || endsWithReadyForQuery(answer)
}

const READY_FOR_QUERY = Buffer.from([0x5a, 0, 0, 0, 5])

function endsWithReadyForQuery(answer: Buffer): boolean {
  return answer.length > READY_FOR_QUERY.length && answer.subarray(-6, -1).equals(READY_FOR_QUERY)
}
