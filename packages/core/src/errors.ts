/**
 * Errors that state facts which only Thaw knows. Whatever the server itself says passes through as the object that the
 * driver made of it.
 *
 * Checked by brand, not by `instanceof`, so that two copies of this package agree: `ThawError.is(error)`, `error.kind`.
 */

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
  | 'option'
  | 'outcome-unknown'
  | 'replication-unconfirmed'
  | 'scope'
  | 'transaction-open'

/** What a socket or server error carries and other people's predicates read (Prisma's, for one). */
export interface WireFacts {
  /** SQLSTATE or errno name: `57P01`, `ECONNRESET`. */
  readonly code?: string | undefined
  /** The number of the system, negative as in Node. */
  readonly errno?: number | undefined
  /** What the system was asked for: `connect`, `read`, `write`, `getaddrinfo`. */
  readonly syscall?: string | undefined
  /** Where a dial was going: an address and a port, or a name that could not be resolved. */
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
  /** Nothing was executed and the cause may pass: asking again is safe, and may help. */
  readonly retryable: boolean

  constructor(parts: ErrorParts) {
    super(`${parts.message} See ${DOCS}#${parts.kind}`, parts.cause === undefined ? undefined : { cause: parts.cause })
    this.kind = parts.kind
    this.retryable = parts.retryable
    // Not from new.target.name, which a minifier shortens.
    this.name = 'ThawError'
    Object.defineProperty(this, BRAND, { value: true })
  }

  /** Is this an error of ours, from whichever copy of the package? */
  static is(value: unknown): value is ThawError {
    return typeof value === 'object' && value !== null && BRAND in value
  }
}

/** What was being waited for when the time to acquire a connection ran out. */
export type AcquireStage = 'wait' | 'connect' | 'probe'

/**
 * No connection could be had in time. Nothing was sent to the database. Bound: `connectionTimeoutMillis`. If a dial has failed meanwhile
 * its failure is the `cause`, and `code`, `errno`, `syscall`, and where it has them `address`, `port` and `hostname`, are its own.
 */
export class AcquireTimeoutError extends ThawError {
  /** `wait`: every connection was in use. `connect`: a new one was being made. `probe`: an idle one was being asked. */
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

/** How far a dial came. */
export type ConnectStage = 'dns' | 'tcp' | 'tls' | 'startup'

/**
 * A connection could not be made, and dialling again did not help. Nothing was sent to the database.
 * `code`, `errno`, `syscall`, and where it has them `address`, `port` and `hostname`, are those of the last failure, which is the `cause`.
 */
export class ConnectError extends ThawError {
  readonly stage: ConnectStage
  /** How often was dialled. */
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
 * The connection was lost under a statement, and nothing of the statement remains: it was not executed, or rolled back with its
 * transaction, or it only read. `code`, `errno` and `syscall` are those of the loss, which is the `cause`.
 */
export class ConnectionLostError extends ThawError {
  /** `not-executed`, or for a read that was sent: `unknown`, which does no harm. */
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
  /** Inside a transaction that was begun by hand. */
  readonly inTransaction: boolean
  /** The server had begun to answer. */
  readonly answered: boolean
  /** The SQLSTATE with which the server ended the session, if it sent one. */
  readonly fatalSqlstate?: string
}

/**
 * The connection was lost after the statement was sent, and nobody on this side can know whether it was executed. Look before
 * you send it again: it may be stored already.
 *
 * `code` is `08007`, "transaction resolution unknown" of the SQL standard. The loss itself is only the `cause`, so that nobody's retry by
 * socket code runs a write twice.
 */
export class OutcomeUnknownError extends ThawError {
  readonly outcome = 'unknown'
  /** https://www.postgresql.org/docs/current/errcodes-appendix.html, class 08 */
  readonly code = '08007'
  readonly reason: OutcomeReason
  readonly evidence: UnknownEvidence

  constructor(parts: { reason: OutcomeReason; evidence: UnknownEvidence; message: string; cause?: unknown }) {
    super({ kind: 'outcome-unknown', retryable: false, message: parts.message, cause: parts.cause })
    this.name = 'OutcomeUnknownError'
    this.reason = parts.reason
    this.evidence = parts.evidence
  }
}

/**
 * Time is up: the statement's (`query_timeout`), or the invocation's. Nothing of the statement remains. For a write that had been
 * sent the error is an {@link OutcomeUnknownError} with this one as its `cause`.
 */
export class DeadlineError extends ThawError {
  /** How long was waited. */
  readonly waitedMillis: number

  constructor(parts: { waitedMillis: number; message: string; cause?: unknown }) {
    super({ kind: 'deadline', retryable: true, message: parts.message, cause: parts.cause })
    this.name = 'DeadlineError'
    this.waitedMillis = parts.waitedMillis
  }
}

/** COMMIT was answered with ROLLBACK: a statement of the transaction had failed, so the server has thrown it all away. Nothing was stored. */
export class CommitRolledBackError extends ThawError {
  readonly outcome = 'not-executed'

  constructor(message: string) {
    super({ kind: 'commit-rolled-back', retryable: false, message })
    this.name = 'CommitRolledBackError'
  }
}

/**
 * The server has committed, but was ended before its synchronous replicas confirmed. The statement is done; if that server is lost, so may
 * it be. Do not send it again.
 */
export class ReplicationUnconfirmedError extends ThawError {
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

/** An option was given that Thaw cannot work with. Thrown where the option is given, before anything is opened. */
export class OptionError extends ThawError {
  /** The option as it was written. */
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
 * A statement sent by `pool.query()` left a transaction open. `pool.query()` takes any connection for each call, so the
 * next statement would have run outside that transaction, or inside somebody else's. The connection was destroyed, which
 * rolls the transaction back.
 */
export class TransactionOpenError extends ThawError {
  constructor(message: string) {
    super({ kind: 'transaction-open', retryable: false, message })
    this.name = 'TransactionOpenError'
  }
}

/**
 * A connection of one request was used in another one, or outside of any, on Cloudflare Workers: the runtime lets a socket be used by nobody but the
 * request, or the Durable Object, that opened it. Nothing was sent. The message names the fix.
 */
export class ScopeError extends ThawError {
  constructor(parts: { message: string; cause?: unknown }) {
    super({ kind: 'scope', retryable: false, message: parts.message, cause: parts.cause })
    this.name = 'ScopeError'
  }
}
