/** Why a connection could not be opened, and whether to retry. */

import {
  type AcquireStage,
  AcquireTimeoutError,
  ConnectError,
  type ConnectStage,
  classify,
  codeOf,
  DeadlineError,
  serverRefusalOf,
  type WireFacts,
} from '@thaw/core'
import { address, type Target } from '../driver/endpoints.ts'
import { saysLost, saysUnreachable } from '../driver/peer.ts'
import { isPasswordFunctions, isUnanswered } from './password-function.ts'
import { saysPoolerIsFull } from './pooler-refusals.ts'
import { WrongSessionError } from './session-kind.ts'

/** `again`: with backoff. `password`: with a new password, if a function provides one. `fail`: at once. */
export type DialVerdict = 'again' | 'password' | 'fail'

/** PostgreSQL's code for a login that is refused by anything but a password of its own: by PAM, as on RDS for a token that has expired, by LDAP, RADIUS. */
const NOT_AUTHORIZED = '28000'

/** What to do about a failed connection attempt. An unknown failure is not retried. `awaitsVerdict`: of what a password function has returned. */
export function judgeDial(error: unknown, awaitsVerdict = false): DialVerdict {
  // Its words say more than its code, which may be that of a wrong password.
  if (saysPoolerIsFull(error)) return 'again'
  if (awaitsVerdict && codeOf(error) === NOT_AUTHORIZED && cameFromServer(error)) return 'password'
  const passes = saysLost(error) || saysUnreachable(error) || isSocketGone(error) || error instanceof WrongSessionError
  return classify(error)?.dial ?? (passes ? 'again' : 'fail')
}

/** A server removes its Unix socket when it stops. The same code from anything else, such as a certificate file, is final. */
function isSocketGone(error: unknown): boolean {
  return codeOf(error) === 'ENOENT' && (error as WireFacts).syscall === 'connect'
}

/** Did the server itself answer? Then the address is right, and the server is worth waiting for. */
export function cameFromServer(error: unknown): boolean {
  if (error instanceof WrongSessionError) return true
  return /^[0-9A-Z]{5}$/.test(codeOf(error) ?? '') && typeof (error as { severity?: unknown }).severity === 'string'
}

/** node-postgres' own message for an attempt that has taken too long, see `saysLost`. */
export const TIMED_OUT = 'Connection terminated due to connection timeout'

/**
 * Could the cause be a typo in the address, or a server that was never started? Waiting helps with neither. A name server that does not
 * answer, a network that is down, a remote host that refuses or resets the connection while its server starts: these may pass.
 */
export function mayBeMistaken(error: unknown, { host }: Target): boolean {
  // It says nothing about this address.
  if (isPasswordFunctions(error)) return false
  const { code } = wireFacts(error)
  // It was reached, and did not answer in time.
  if (error instanceof Error && error.message === TIMED_OUT) return false
  // workerd does not say which of the two it was.
  if (code === 'ENOTFOUND' || saysUnreachable(error)) return true
  return isLocal(host) && (REFUSALS.has(code ?? '') || saysLost(error))
}

/**
 * Nothing listens there, or something closes the connection of a PostgreSQL client without a word: there is no network in between that
 * could be down.
 */
const REFUSALS: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'EPIPE'])

/** This machine itself: RFC 6761, RFC 5735, RFC 4291, and Unix sockets. */
function isLocal(host: string): boolean {
  return host === '' || /^(\/|127\.|0\.0\.0\.0$|\[?::1\]?$|(.+\.)?localhost\.?$)/i.test(host)
}

/**
 * The failure of the last of `attempts` connection attempts, with where it went and what may help. `reached`: the stage that it was in, if
 * the error does not say. `advice`: better advice than the stage alone suggests. `hosts`: what is wrong with each of several. No `target`: it must not be
 * shown.
 */
export function connectError(
  error: unknown,
  target: Target | undefined,
  attempts: number,
  tookMillis: number,
  reached?: ConnectStage | undefined,
  advice?: string | undefined,
  hosts?: string | undefined,
): ConnectError {
  const wire = wireFacts(error)
  const stage = stageOf(error, wire, reached)
  const said = error instanceof Error && error.message ? error.message : (wire.code ?? 'no reason given')
  const tries = attempts === 1 ? 'one attempt' : `${attempts} attempts`
  const where = target ? address(target) : 'the database'
  return new ConnectError({
    stage,
    attempts,
    wire,
    cause: error,
    message: `Could not connect to ${hosts ? 'any host' : where} (${tries} in ${Math.round(tookMillis)} ms): ${hosts ?? said}. ${advice ?? adviceFor(error, stage, wire.code)}`,
  })
}

const ADVICE: Readonly<Record<ConnectStage, string>> = {
  dns: 'Check the host name, and that DNS works from here.',
  tcp: 'Check that PostgreSQL is running there, and that this network can reach it.',
  tls: "Check the `ssl` option against the server's certificate.",
  startup: 'Reached the address, but the session could not be started.',
}

/** Of a password function. `millis`: for how long it has been running. */
function unanswered(millis?: number): string {
  const since = millis === undefined ? '' : `, which had been running for ${Math.round(millis)} ms`
  return `PostgreSQL was waiting for the password: the \`password\` function${since} did not answer in time.`
}

/** PostgreSQL's too_many_connections: of the server, the database, or the role. */
const TOO_MANY = '53300'
const FULL = 'The server had no room for another session (53300). Open fewer, or share them: by a pooler, or the option `fleet`.'

function adviceFor(error: unknown, stage: ConnectStage, code: string | undefined): string {
  if (isPasswordFunctions(error)) return 'The `password` function failed: see the cause.'
  if (isUnanswered(error)) return unanswered()
  if (error instanceof WrongSessionError) return `Reached the server, but ${error.message}.`
  return serverRefusalOf(error) === 'full' || code === TOO_MANY ? FULL : ADVICE[stage]
}

/** A password function that has just been called is not why the earlier attempts failed. */
const SLOW_FUNCTION_MILLIS = 1000

/** A caller's time is up. `max` and `waitedMillis` are for people; the text begins as node-postgres' own does, for code that matches it. */
export function acquireTimeout(
  stage: AcquireStage,
  waitedMillis: number,
  max: number,
  target: Target | undefined,
  cause: unknown,
  reached?: ConnectStage | undefined,
  atRest = 0,
  hosts?: string | undefined,
  passwordMillis?: number | undefined,
  better?: string | undefined,
): AcquireTimeoutError {
  const where = target ? address(target) : 'the database'
  const wire = wireFacts(cause)
  const isSlowFunction = passwordMillis !== undefined && (cause === undefined || passwordMillis >= SLOW_FUNCTION_MILLIS)
  const slow = isSlowFunction ? ` ${unanswered(passwordMillis)}` : ''
  const usual = () => (cause === undefined && reached === undefined ? '' : ` ${adviceFor(cause, stageOf(cause, wire, reached), wire.code)}`)
  const advice = slow || (better ? ` ${better}` : usual())
  const detail: Record<AcquireStage, string> = {
    wait: inUse(where, max, atRest),
    connect: hosts
      ? `no host had a connection in time: ${hosts}.${slow}`
      : `no new connection to ${where} could be opened in time.${advice}`,
    probe: `the idle connections to ${where} did not reply to a probe in time.`,
  }
  return new AcquireTimeoutError({
    stage,
    waitedMillis,
    cause,
    wire,
    message: `timeout exceeded when trying to connect: after ${Math.round(waitedMillis)} ms (connectionTimeoutMillis) ${detail[stage]}`,
  })
}

function inUse(where: string, max: number, atRest: number): string {
  const all = max === 1 ? `the only connection to ${where} was` : `all ${max} connections to ${where} were`
  if (atRest === 0) return `${all} in use. Release clients sooner, or raise max.`
  const held =
    max === 1 ? `${all} held by a caller that ran nothing on it` : `${all} in use, ${atRest} of them by callers that ran nothing on them`
  return `${held}. Is such a caller itself waiting for another connection? Inside a transaction, run every statement on its client; or raise max.`
}

/** The invocation's deadline came first. */
export function invocationOver(cause: Error, waitedMillis: number): DeadlineError {
  return new DeadlineError({
    waitedMillis,
    cause,
    message: `The invocation's deadline passed after ${Math.round(waitedMillis)} ms of waiting for a connection. Nothing was sent.`,
  })
}

/** With several addresses for one name (Happy Eyeballs), Node wraps their failures: the first says as much as any. */
function wireFacts(error: unknown): WireFacts {
  const first = error instanceof AggregateError ? error.errors[0] : error
  const { errno, syscall, address, port, hostname } = (first ?? {}) as WireFacts
  return { code: codeOf(error) ?? codeOf(first), errno, syscall, address, port, hostname }
}

function stageOf(error: unknown, { code = '', syscall }: WireFacts, reached: ConnectStage = 'startup'): ConnectStage {
  if (isPasswordFunctions(error)) return 'startup'
  if (syscall === 'getaddrinfo' || code.startsWith('EAI_') || code === 'ENOTFOUND') return 'dns'
  if (syscall === 'connect' || saysUnreachable(error)) return 'tcp'
  if (/TLS|SSL|CERT/.test(code) || (error instanceof Error && /SSL/.test(error.message))) return 'tls'
  return cameFromServer(error) ? 'startup' : reached
}
