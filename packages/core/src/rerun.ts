/** May a transaction that failed be run again from its beginning? Nothing of it is stored; what it has done elsewhere is its author's business. */

import { codeOf } from './classify.ts'
import { ThawError } from './errors.ts'

/**
 * `conflict`: the server chose this transaction to give way (https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html). `lost`: its connection was, before COMMIT.
 * `read-only`: a write was refused, which a standby does in the place of the primary.
 */
export type RerunReason = 'conflict' | 'lost' | 'read-only'

const READ_ONLY = '25006'
const CONFLICTS: ReadonlySet<string | undefined> = new Set(['40001', '40P01'])
/** More than any ORM wraps. */
const MOST_CAUSES = 10

/** Why running it again may help. Looks through `cause`, because ORMs wrap what the driver throws. Undefined: it would not help, or is not known to be safe. */
export function rerunReason(error: unknown): RerunReason | undefined {
  for (const each of causesOf(error)) {
    if (CONFLICTS.has(codeOf(each))) return 'conflict'
    if (codeOf(each) === READ_ONLY) return 'read-only'
    if (!ThawError.is(each)) continue
    const { kind, outcome } = each as ThawError & { readonly outcome?: unknown }
    if (kind === 'outcome-unknown' || kind === 'replication-unconfirmed') return undefined
    // A read that was lost is unknown, and harmless; its transaction is rolled back all the same.
    if (kind === 'connection-lost' && outcome !== 'executed') return 'lost'
  }
  return undefined
}

/** The error, and whatever it was caused by, outermost first. Ends, even where causes go round in a circle. */
export function causesOf(error: unknown): readonly unknown[] {
  const chain: unknown[] = []
  for (let each = error; each && chain.length < MOST_CAUSES && !chain.includes(each); each = causeOf(each)) chain.push(each)
  return chain
}

/** What a getter throws must not replace the error that is being looked at. */
function causeOf(error: unknown): unknown {
  try {
    return (error as { cause?: unknown }).cause
  } catch {
    return undefined
  }
}

/** What is known when a transaction has failed for a reason that may pass. */
export interface RerunFacts {
  readonly reason: RerunReason | undefined
  readonly retriesLeft: number
  /** Its caller wants nothing more of it, or the time of the invocation is up. */
  readonly isOver: boolean
  /** The pool no longer accepts callers. */
  readonly isPoolEnding: boolean
  /** Whether the retry budget has something left: for lost connections, which come in crowds. Conflicts are bounded by `retries` alone. */
  readonly hasBudget: boolean
  /** The server that refused a write has said that it is a standby, and its connections are given up: the next one may lead elsewhere. Default: false. */
  readonly isStandby?: boolean | undefined
  /** The session that was lost had state of its own (SET, …), which another one does not have. Default: false. */
  readonly hadSessionState?: boolean | undefined
}

export function mayRerun({
  reason,
  retriesLeft,
  isOver,
  isPoolEnding,
  hasBudget,
  isStandby = false,
  hadSessionState = false,
}: RerunFacts): boolean {
  if (reason === undefined || retriesLeft <= 0 || isOver || isPoolEnding) return false
  if (reason === 'read-only') return isStandby
  return reason === 'conflict' || (hasBudget && !hadSessionState)
}
