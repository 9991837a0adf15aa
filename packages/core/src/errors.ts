/**
 * Errors that state facts which only Thaw knows. The server's own errors pass through as the objects that the driver made.
 *
 * Checked by brand rather than by `instanceof`, so that two copies of this package agree: `ThawError.is(error)`, `error.kind`.
 */

import type { CommitReason } from './commit-outcome.ts'
import type { LostStatement, Outcome, OutcomeReason, OutcomeVerdict } from './outcome.ts'

const BRAND = Symbol.for('thaw.error')
/** A heading for each kind. The repository of package.json: `tests/house` compares them. */
const DOCS = 'https://github.com/OWNER/thaw/blob/main/docs/reference/errors.md'

/** The stable name of what happened. Switch on this, not on messages. */
export type ErrorKind =
  | 'acquire-timeout'
  | 'commit-rolled-back'
  | 'connect'
  | 'connection-lost'
  | 'deadline'
  | 'idempotency-key'
  | 'option'
  | 'outcome-unknown'
  | 'replication-unconfirmed'
  | 'scope'
  | 'transaction-open'
  | 'transaction-use'

/** What a socket or server error carries and other code's predicates read (Prisma's, for one). */
export interface WireFacts {
  /** SQLSTATE or errno name: `57P01`, `ECONNRESET`. */
  readonly code?: string | undefined
  /** The system's error number, negative as in Node. */
  readonly errno?: number | undefined
  /** The system call that failed: `connect`, `read`, `write`, `getaddrinfo`. */
  readonly syscall?: string | undefined
  /** Where the connection attempt went: an address and a port, or a name that could not be resolved. */
  readonly address?: string | undefined
  readonly port?: number | undefined
  readonly hostname?: string | undefined
}

interface ErrorParts {
  readonly kind: ErrorKind
  readonly retryable: boolean
  readonly message: string
  readonly cause?: unknown
}

/** The root of every error that Thaw makes itself. */
export class ThawError extends Error {
  /** The stable name of what happened. */
  readonly kind: ErrorKind
  /** Nothing was executed and the cause may pass: trying again is safe, and may help. */
  readonly retryable: boolean

  constructor(parts: ErrorParts) {
    super(`${parts.message} See ${DOCS}#${parts.kind}`, parts.cause === undefined ? undefined : { cause: parts.cause })
    this.kind = parts.kind
    this.retryable = parts.retryable
    // Not from new.target.name, which a minifier shortens.
    this.name = 'ThawError'
    Object.defineProperty(this, BRAND, { value: true })
  }

  /** Is this an error of ours, from whichever copy of the package? Then `kind` says which, to TypeScript too. */
  static is(value: unknown): value is AnyThawError {
    if (typeof value !== 'object' || value === null) return false
    try {
      return BRAND in value
    } catch {
      // A proxy that does not tell.
      return false
    }
  }
}

/** What the caller was waiting for when the time to acquire a connection ran out. */
export type AcquireStage = 'wait' | 'connect' | 'probe'

/**
 * No connection became available in time. Nothing was sent to the database, unless it is a read that was sent behind others on a shared
 * connection: the message says so. Bound: `connectionTimeoutMillis`. If a connection attempt failed meanwhile, its failure is the `cause`,
 * and its `code`, `errno`, `syscall` and, if present, `address`, `port` and `hostname` are copied here.
 */
export class AcquireTimeoutError extends ThawError {
  declare readonly kind: 'acquire-timeout'
  /** `wait`: every connection was in use. `connect`: a new one was being opened. `probe`: an idle one was being probed. */
  readonly stage: AcquireStage
  /** How long the caller had waited. */
  readonly waitedMillis: number
  declare readonly code?: string
  declare readonly errno?: number
  declare readonly syscall?: string
  declare readonly address?: string
  declare readonly port?: number
  declare readonly hostname?: string

  constructor(parts: { stage: AcquireStage; waitedMillis: number; message: string; cause?: unknown; wire?: WireFacts }) {
    super({ kind: 'acquire-timeout', retryable: true, message: parts.message, cause: parts.cause })
    this.name = 'AcquireTimeoutError'
    this.stage = parts.stage
    this.waitedMillis = parts.waitedMillis
    if (parts.wire) adopt(this, parts.wire)
  }
}

/** The stage at which a connection attempt failed. */
export type ConnectStage = 'dns' | 'tcp' | 'tls' | 'startup'

/**
 * A connection could not be opened, and retrying did not help. Nothing was sent to the database. `code`, `errno`, `syscall` and, if
 * present, `address`, `port` and `hostname` are those of the last failure, which is the `cause`.
 */
export class ConnectError extends ThawError {
  declare readonly kind: 'connect'
  readonly stage: ConnectStage
  /** Number of connection attempts. */
  readonly attempts: number
  declare readonly code?: string
  declare readonly errno?: number
  declare readonly syscall?: string
  declare readonly address?: string
  declare readonly port?: number
  declare readonly hostname?: string

  constructor(parts: { stage: ConnectStage; attempts: number; message: string; cause?: unknown; wire: WireFacts }) {
    super({ kind: 'connect', retryable: true, message: parts.message, cause: parts.cause })
    this.name = 'ConnectError'
    this.stage = parts.stage
    this.attempts = parts.attempts
    adopt(this, parts.wire)
  }
}

/**
 * The connection was lost during a statement, and nothing of the statement remains: it was not executed, or was rolled back with its
 * transaction, or only read. `code`, `errno` and `syscall` are those of the loss, which is the `cause`.
 */
export class ConnectionLostError extends ThawError {
  declare readonly kind: 'connection-lost'
  /** `not-executed`; or, for a read that was sent, `unknown`, which is safe to repeat. */
  readonly outcome: Outcome
  /** How that is known. */
  readonly reason: OutcomeReason
  declare readonly code?: string
  declare readonly errno?: number
  declare readonly syscall?: string

  constructor(parts: { verdict: OutcomeVerdict; message: string; cause?: unknown; wire: WireFacts }) {
    super({ kind: 'connection-lost', retryable: true, message: parts.message, cause: parts.cause })
    this.name = 'ConnectionLostError'
    this.outcome = parts.verdict.outcome
    this.reason = parts.verdict.reason
    adopt(this, parts.wire)
  }
}

/** What the connection knew of a statement whose outcome is unknown. */
export interface UnknownEvidence {
  /** What the statement is, as far as a lexer can tell. */
  readonly statement: LostStatement['kind']
  /** Inside a transaction that the caller began. */
  readonly inTransaction: boolean
  /** The server had begun to answer. */
  readonly answered: boolean
  /** The SQLSTATE with which the server ended the session, if it sent one. */
  readonly fatalSqlstate?: string
  /** The transaction's id, of `pool.transaction()`, `pool.batch()` and `once`, if the server had told it. */
  readonly xid?: string
  /** The server that it was sent to: a host and a port. */
  readonly host?: string
  /** When the answer was missed, in milliseconds since the epoch. */
  readonly lostAt?: number
  /** What would settle it, in words. */
  readonly settledBy?: string
}

/** Why the outcome is unknown. `key-not-asked`: of a write under an idempotency key, the table of keys could not be reached. */
export type UnknownReason = OutcomeReason | CommitReason | 'key-not-asked'

/**
 * The connection was lost after the statement was sent, and no client can know whether it was executed. Check before you send it again: it
 * may be stored already.
 *
 * `code` is `08007`, "transaction resolution unknown" of the SQL standard. The loss itself is only the `cause`, so that retry logic keyed
 * on socket codes cannot run a write twice.
 */
export class OutcomeUnknownError extends ThawError {
  declare readonly kind: 'outcome-unknown'
  readonly outcome = 'unknown'
  /** https://www.postgresql.org/docs/current/errcodes-appendix.html, class 08 */
  readonly code = '08007'
  readonly reason: UnknownReason
  readonly evidence: UnknownEvidence

  constructor(parts: { reason: UnknownReason; evidence: UnknownEvidence; message: string; cause?: unknown }) {
    super({ kind: 'outcome-unknown', retryable: false, message: parts.message, cause: parts.cause })
    this.name = 'OutcomeUnknownError'
    this.reason = parts.reason
    this.evidence = parts.evidence
  }
}

/**
 * The statement's `query_timeout` or the invocation's deadline has passed. Nothing of the statement remains. For a write that had been
 * sent, the error is an {@link OutcomeUnknownError} with this one as its `cause`.
 */
export class DeadlineError extends ThawError {
  declare readonly kind: 'deadline'
  /** How long the caller had waited. */
  readonly waitedMillis: number

  constructor(parts: { waitedMillis: number; message: string; cause?: unknown }) {
    super({ kind: 'deadline', retryable: true, message: parts.message, cause: parts.cause })
    this.name = 'DeadlineError'
    this.waitedMillis = parts.waitedMillis
  }
}

/** COMMIT was answered with ROLLBACK: a statement of the transaction had failed, so the server discarded all of it. Nothing was stored. */
export class CommitRolledBackError extends ThawError {
  declare readonly kind: 'commit-rolled-back'
  readonly outcome = 'not-executed'

  constructor(message: string) {
    super({ kind: 'commit-rolled-back', retryable: false, message })
    this.name = 'CommitRolledBackError'
  }
}

/**
 * Committed on the primary, but its wait for synchronous replication was ended: its backend was terminated, or its statement canceled. A failover could lose it. Do not send
 * it again, unless under the same idempotency key.
 */
export class ReplicationUnconfirmedError extends ThawError {
  declare readonly kind: 'replication-unconfirmed'
  readonly outcome = 'executed'

  constructor(parts: { message: string; cause?: unknown }) {
    super({ kind: 'replication-unconfirmed', retryable: false, message: parts.message, cause: parts.cause })
    this.name = 'ReplicationUnconfirmedError'
  }
}

function adopt(error: ThawError, { code, errno, syscall, address, port, hostname }: WireFacts): void {
  for (const [name, value] of Object.entries({ code, errno, syscall, address, port, hostname })) {
    if (value) Object.assign(error, { [name]: value })
  }
}

/** Thaw cannot work with an option that it was given. Thrown where the option is given, before anything is opened. */
export class OptionError extends ThawError {
  declare readonly kind: 'option'
  /** The option, as it was written. */
  readonly option: string
  /** What would be accepted. */
  readonly allowed: string

  constructor(parts: { option: string; allowed: string; message: string }) {
    super({ kind: 'option', retryable: false, message: parts.message })
    this.name = 'OptionError'
    this.option = parts.option
    this.allowed = parts.allowed
  }
}

/**
 * A statement sent by `pool.query()` left a transaction open. Each `pool.query()` may use a different connection, so the next statement
 * would have run outside that transaction, or inside another caller's. The connection was destroyed, which rolls the transaction back.
 */
export class TransactionOpenError extends ThawError {
  declare readonly kind: 'transaction-open'
  constructor(message: string) {
    super({ kind: 'transaction-open', retryable: false, message })
    this.name = 'TransactionOpenError'
  }
}

/**
 * On Cloudflare Workers, a connection of one request was used in another one, or outside any request: the runtime allows a socket only in
 * the request, or the Durable Object, that opened it. Nothing was sent. The message names the fix.
 */
export class ScopeError extends ThawError {
  declare readonly kind: 'scope'
  constructor(parts: { message: string; cause?: unknown }) {
    super({ kind: 'scope', retryable: false, message: parts.message, cause: parts.cause })
    this.name = 'ScopeError'
  }
}

/**
 * The client of a `pool.transaction()` was used as it may not be: after its function had ended, without awaiting a statement, or to end the transaction by hand.
 * Nothing is stored: the transaction was rolled back, or what was asked of it was not sent.
 */
export class TransactionUseError extends ThawError {
  declare readonly kind: 'transaction-use'
  constructor(parts: { message: string; cause?: unknown }) {
    super({ kind: 'transaction-use', retryable: false, message: parts.message, cause: parts.cause })
    this.name = 'TransactionUseError'
  }
}

/** An idempotency key cannot be used: it belongs to another statement, is older than keys may be, or its table is missing. Nothing was executed. */
export class IdempotencyKeyError extends ThawError {
  declare readonly kind: 'idempotency-key'
  readonly reason: 'another-statement' | 'expired' | 'hidden' | 'no-table'

  constructor(parts: { reason: IdempotencyKeyError['reason']; message: string; cause?: unknown }) {
    super({ kind: 'idempotency-key', retryable: false, message: parts.message, cause: parts.cause })
    this.name = 'IdempotencyKeyError'
    this.reason = parts.reason
  }
}

/** Every error that Thaw makes itself: what `ThawError.is(error)` says that it is, so that `error.kind` narrows it to its class. */
export type AnyThawError =
  | AcquireTimeoutError
  | ConnectError
  | ConnectionLostError
  | OutcomeUnknownError
  | DeadlineError
  | CommitRolledBackError
  | ReplicationUnconfirmedError
  | OptionError
  | TransactionOpenError
  | ScopeError
  | TransactionUseError
  | IdempotencyKeyError
