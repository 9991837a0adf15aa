/** What a failed HTTP request says about the statement in it. */

import { NeonDbError, neonConfig } from '@neondatabase/serverless'
import { classify, codeOf, ThawError, type WireFacts } from '@thaw/core'
import { saysUnreached } from './peer.ts'

/**
 * - `answer`: the server, or Neon, has answered. The error is passed to the caller.
 * - `unsent`: the statement reached no database. It was not executed.
 * - `lost`: it may have been executed.
 */
export type HttpFailure = 'answer' | 'unsent' | 'lost'

/** Failures before any byte of the request could leave, by codes that mean nothing else. Other codes are told apart by their system call. */
const NOT_CONNECTED: ReadonlySet<string> = new Set(['UND_ERR_CONNECT_TIMEOUT', 'ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN'])
const DIALLING: ReadonlySet<string | undefined> = new Set(['connect', 'getaddrinfo'])

/** The driver's message for an answer that is neither a result nor an error of PostgreSQL. `peer.test.ts` fails when it changes. */
const STATUS = /^Server error \(HTTP status (\d{3})\)/
/** The messages of Neon's proxy when its own connection to the database is lost (tokio-postgres). They come without a code. */
const COMPUTE_LOST =
  /^(connection closed|error communicating with the server|unexpected message from server|Query cancelled, connection was terminated)/
/** Node's words for an endpoint that is no URL. A redirect to one is "fetch failed". */
const UNREADABLE_URL = /^Failed to parse URL/
/** Too many requests; and what no retry would change: the statement's answer was too large (507). */
const THROTTLED = 429
const TOO_LARGE = 507

export function judgeHttp(error: unknown): HttpFailure {
  if (!(error instanceof NeonDbError)) return isBrokenAnswer(error) ? 'lost' : 'answer'
  if (error.sourceError !== undefined) return wasNeverSent(error) ? 'unsent' : 'lost'
  const status = Number(STATUS.exec(error.message)?.[1])
  if (status) return judgeStatus(status, error.message)
  return judgeAnswer(error)
}

/** A result that breaks off midway reaches us without the driver's wrapping. */
function isBrokenAnswer(error: unknown): boolean {
  if (error instanceof SyntaxError) return true
  return error instanceof TypeError && (error.message === 'terminated' || codeOf(error.cause) !== undefined)
}

function judgeStatus(status: number, message: string): HttpFailure {
  if (status === THROTTLED || saysUnreached(message)) return 'unsent'
  return status >= 500 && status !== TOO_LARGE ? 'lost' : 'answer'
}

function judgeAnswer(error: NeonDbError): HttpFailure {
  const says = classify(error)
  if (says?.ends && says.dial === 'again') return isRefusal(error) ? 'unsent' : 'lost'
  return says === undefined && COMPUTE_LOST.test(error.message) ? 'lost' : 'answer'
}

/** The server accepted no login: it is starting, or full. A statement's own error may have the same code, but is not fatal. */
function isRefusal({ code, severity }: NeonDbError): boolean {
  return severity === 'FATAL' && (code === '57P03' || code === '53300')
}

function wasNeverSent(error: NeonDbError): boolean {
  const { code = '', syscall } = wireFactsOf(error)
  return NOT_CONNECTED.has(code) || DIALLING.has(syscall)
}

/**
 * Has `fetch` itself refused the request, before anything was sent? It says so with a TypeError, as when the network fails: so it is asked again, without sending.
 * A `fetch` function of the caller's own may have sent it, whatever it throws.
 */
export function wasRefused(error: unknown, fetchOptions: Readonly<Record<string, unknown>> | undefined): boolean {
  if (!(error instanceof NeonDbError && error.sourceError instanceof TypeError) || neonConfig.fetchFunction !== undefined) return false
  if (UNREADABLE_URL.test(error.sourceError.message)) return true
  const { signal: _signal, dispatcher: _dispatcher, ...others } = fetchOptions ?? {}
  try {
    new Request('https://localhost', { method: 'POST', ...others, body: '' })
    return false
  } catch {
    return true
  }
}

/** The socket's error, beneath the wrappings of `fetch` and of the driver. */
export function wireFactsOf(error: unknown): WireFacts {
  let cause = error instanceof NeonDbError ? (error.sourceError ?? error) : error
  while (codeOf(cause) === undefined && cause instanceof Error && cause.cause !== undefined) cause = cause.cause as Error
  // Several addresses for one name: the first error says as much as any.
  if (cause instanceof AggregateError) cause = cause.errors[0]
  const { errno, syscall } = (cause ?? {}) as WireFacts
  return { code: codeOf(cause), errno, syscall }
}

/**
 * The caller has aborted through the driver's own option, `fetchOptions.signal`. The error has the driver's class and message, as code
 * written for the driver expects. What we know beyond that, above all that the statement may have been executed, is the `cause`.
 */
export function abortedAsByDriver({ aborted, reason }: AbortSignal, error: Error): Error {
  const isByAbort = [error, error.cause, (error.cause as Error | undefined)?.cause].includes(reason)
  if (!aborted || !isByAbort || error instanceof NeonDbError) return error
  const told = Object.assign(new NeonDbError(`Error connecting to database: ${reason}`), { sourceError: reason })
  return ThawError.is(error) ? Object.assign(told, { cause: error }) : told
}
