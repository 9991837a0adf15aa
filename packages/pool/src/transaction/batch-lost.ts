/**
 * What becomes of a batch whose connection was lost. The server is asked, if it has told the id of its transaction. Otherwise one whose statements all look like reads is sent again inside READ ONLY:
 * a view, a cast or an operator may call a function that writes, which no lexer sees. If the server refuses it there, it is unknown what the first one did.
 */

import { codeOf } from '@thaw/core'
import { type Loss, lossOf } from '../connection/lost-statement.ts'
import { isBroken } from '../connection/vitals.ts'
import type { PeerClient } from '../driver/peer.ts'
import { knownBackend, noteBackend, question, tellsNothing } from './backend.ts'
import { textOf, timeoutOf } from './config.ts'
import { type FlightStatement, fly, type Landing } from './flight.ts'
import { noteRefused } from './flight-tag.ts'
import { endLeftBehind } from './left-behind.ts'
import { nothingStored } from './nothing-stored.ts'
import { orRelease } from './or-release.ts'
import { emitSettled, type LostCommit, reachesStandbys, settle, toldOf } from './settle.ts'
import type { TransactionHost } from './transaction.ts'
import { withoutWho, withWho } from './who-first.ts'

/** The first loss of a batch that looks like reads. */
export interface Doubt {
  readonly loss: Loss
  readonly lost: LostCommit
}

/** `untold`: a loss that is told only if the batch is not sent again. `isStandby`: one refused it. `hadSessionState`: the session that was lost did. `doubt`: it is sent again inside READ ONLY. */
export interface Sent extends Landing {
  readonly untold?: Loss
  readonly isStandby?: boolean
  readonly hadSessionState?: boolean
  readonly doubt?: Doubt
}

/** PostgreSQL's read_only_sql_transaction. */
const READ_ONLY = '25006'
const BEGIN = 'BEGIN READ ONLY'
/** Its answer takes no time. Without one the connection is closed. */
const ROLLBACK_MILLIS = 3_000

/** Asks the server. */
export async function resolveLost(host: TransactionHost, landing: Landing, { loss, lost }: Doubt): Promise<Sent> {
  const verdict = await settle(host, lost)
  emitSettled(host.memory.events, loss, verdict)
  const { outcome, reason } = verdict
  if (outcome === 'executed' && reason !== 'unreplicated') return { results: landing.results, failedAt: -1 }
  const message = `the connection to ${loss.where} was lost, and the server has been asked: nothing of the batch is stored. Send it again.`
  const rolledBack = { outcome: 'not-executed', reason: 'transaction-rolled-back' } as const
  if (outcome === 'not-executed') return { ...landing, error: nothingStored(loss.cause, rolledBack, message) }
  if (outcome === 'unknown') endLeftBehind(host, lost)
  const unknown = toldOf(lost, loss.verdict.outcome === 'executed' ? 'unreplicated' : reason)
  host.unknown(unknown, lost)
  return { ...landing, error: unknown }
}

/** It was answered, but its wait for the replicas had been ended. */
export async function confirmBatch(host: TransactionHost, landing: Landing, lost: LostCommit): Promise<Sent> {
  if (await reachesStandbys(host)) return landing
  const error = toldOf(lost, 'unreplicated')
  host.unknown(error, lost)
  return { ...landing, error }
}

export function looksLikeReads(host: TransactionHost, statements: readonly FlightStatement[]): boolean {
  return statements.every(({ config }) => host.classify(textOf(config) ?? '').kind === 'read')
}

/** The error of a batch that looks like reads, should it not be sent again. */
export function lostRead({ cause, where }: Pick<Loss, 'cause' | 'where'>): Error {
  const message = `the connection to ${where} was lost while the answer was awaited. The batch only reads: it can be sent again.`
  return nothingStored(cause, { outcome: 'unknown', reason: 'read' }, message)
}

/** In one flight, as the first time. */
export async function sendReadOnly(
  host: TransactionHost,
  statements: readonly FlightStatement[],
  signal: AbortSignal | undefined,
  doubt: Doubt,
): Promise<Sent> {
  const query_timeout = timeoutOf(statements)
  const client = await host.connect(signal)
  return orRelease(client.release, () => sendReadOnlyOn(client, host, statements, { signal, query_timeout }, doubt))
}

async function sendReadOnlyOn(
  client: PeerClient,
  host: TransactionHost,
  statements: readonly FlightStatement[],
  bounds: { readonly signal: AbortSignal | undefined; readonly query_timeout: number | undefined },
  doubt: Doubt,
): Promise<Sent> {
  const place = host.tells !== false && !knownBackend(client) ? 1 : Number.POSITIVE_INFINITY
  const plain = [{ config: BEGIN }, ...statements, { config: 'COMMIT' }]
  const asking = place === 1 ? withWho(plain, place, (backend) => noteBackend(client, backend), undefined) : plain
  const flown = await fly(client, host, asking, {
    text: BEGIN,
    shown: statements.map(({ config }) => textOf(config)).join('; '),
    shownAt: asking.length - 2,
    isAnsweredAtOnce: place === 1,
    ...bounds,
  })
  const landing = withoutWho(flown, place)
  const { error, isRefused } = landing
  const results = landing.results.slice(1, 1 + statements.length)
  if (!error) {
    client.release()
    return { results, failedAt: -1 }
  }
  const loss = lossOf(error)
  if (loss) {
    client.release(error)
    // There was nothing to commit.
    if (results.length === statements.length) return { results, failedAt: -1 }
    return { ...landing, error: lostRead(loss), untold: doubt.loss }
  }
  const unanswered = isBroken(client)
    ? error
    : await question(client, { text: 'ROLLBACK', query_timeout: ROLLBACK_MILLIS }).then(() => undefined, asError)
  client.release(unanswered)
  if (isRefused && tellsNothing(error) && !unanswered) {
    noteRefused(host, undefined, error)
    return sendReadOnly(host, statements, bounds.signal, doubt)
  }
  return codeOf(error) === READ_ONLY ? resolveLost(host, landing, doubt) : landing
}

function asError(error: unknown): Error {
  return error as Error
}
