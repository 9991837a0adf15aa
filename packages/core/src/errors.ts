/**
 * Errors that state facts which only Thaw knows. Whatever the server itself says passes through as the object that the
 * driver made of it.
 *
 * Checked by brand, not by `instanceof`, so that two copies of this package agree: `ThawError.is(error)`, `error.kind`.
 */

const BRAND = Symbol.for('thaw.error')

/** The stable name of what happened. Switch on this, not on messages. */
export type ErrorKind = 'acquire-timeout' | 'connect' | 'option' | 'transaction-open'

/** What a socket or server error carries and other people's predicates read (Prisma's, for one). */
export interface WireFacts {
  readonly code?: string | undefined
  readonly errno?: number | undefined
  readonly syscall?: string | undefined
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
    super(`${parts.message} See docs/reference/errors.md#${parts.kind}`, parts.cause === undefined ? undefined : { cause: parts.cause })
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

/** No connection could be had in time. Nothing was sent to the database. Bound: `connectionTimeoutMillis`. */
export class AcquireTimeoutError extends ThawError {
  /** `wait`: every connection was in use. `connect`: a new one was being made. `probe`: an idle one was being asked. */
  readonly stage: AcquireStage
  /** How long the caller had waited. */
  readonly waitedMillis: number

  constructor(parts: { stage: AcquireStage; waitedMillis: number; message: string; cause?: unknown }) {
    super({ kind: 'acquire-timeout', retryable: true, message: parts.message, cause: parts.cause })
    this.name = 'AcquireTimeoutError'
    this.stage = parts.stage
    this.waitedMillis = parts.waitedMillis
  }
}

/** How far a dial came. */
export type ConnectStage = 'dns' | 'tcp' | 'tls' | 'startup'

/**
 * A connection could not be made, and dialling again did not help. Nothing was sent to the database.
 * `code`, `errno` and `syscall` are those of the last failure, which is the `cause`.
 */
export class ConnectError extends ThawError {
  readonly stage: ConnectStage
  /** How often was dialled. */
  readonly attempts: number
  declare readonly code?: string
  declare readonly errno?: number
  declare readonly syscall?: string

  constructor(parts: { stage: ConnectStage; attempts: number; message: string; cause?: unknown; wire: WireFacts }) {
    super({ kind: 'connect', retryable: true, message: parts.message, cause: parts.cause })
    this.name = 'ConnectError'
    this.stage = parts.stage
    this.attempts = parts.attempts
    const { code, errno, syscall } = parts.wire
    Object.assign(this, { ...(code && { code }), ...(errno && { errno }), ...(syscall && { syscall }) })
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
