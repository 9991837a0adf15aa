/** What became of a statement that lost its connection, and the error for its caller. */

import {
  ConnectionLostError,
  codeOf,
  copiesOut,
  judgeLoss,
  type LossEvidence,
  mayEndTransaction,
  OutcomeUnknownError,
  type OutcomeVerdict,
  ReplicationUnconfirmedError,
  type Statement,
  type WireFacts,
} from '@thaw/core'
import { address, targetOf } from '../driver/endpoints.ts'
import { errnoOf } from '../driver/errno.ts'
import { type PeerClient, type PeerQuery, saysLost, textOf } from '../driver/peer.ts'
import { streamOf } from '../driver/socket.ts'
import { isInterruption } from './interruption.ts'
import type { Vitals } from './vitals.ts'

/** Everything that is known of one loss. */
export interface Loss {
  readonly verdict: OutcomeVerdict
  readonly evidence: LossEvidence
  /** What ended the connection. */
  readonly cause: Error
  /** Which connection that was, for people. */
  readonly where: string
}

const losses = new WeakMap<Error, Loss>()

/** What is known of the loss that this error reports. Undefined: it reports none. */
export function lossOf(error: Error): Loss | undefined {
  return losses.get(error)
}

const UNKNOWN: Statement = { kind: 'unknown', plainWrite: false, mayCommit: true, sessionState: false }

/** How a statement goes over the wire, and what it is. */
export interface LostQuery {
  readonly query: PeerQuery
  readonly classify: (text: string) => Statement
  /** It was sent behind others that had not been answered: then the server's last message was not about it. */
  readonly isPipelined: boolean
  /** PostgreSQL itself is at the other end, as far as is known. */
  readonly isDirect: boolean
}

/** The error for a statement that had been handed to the socket. */
export function loseSent(client: PeerClient, vitals: Vitals, lost: LostQuery, cause: Error): Error {
  const { query } = lost
  const text = textOf(query)
  const shown = typeof text === 'string' ? lost.classify(text) : UNKNOWN
  const statement: Statement = shown.kind === 'write' && copiesOut(text as string) ? { ...shown, kind: 'read' } : shown
  const { sending } = vitals
  const { bytesRead } = streamOf(client) ?? {}
  const evidence: LossEvidence = {
    statement,
    isUnsent: !lost.isPipelined && (sending.isRefused || !sending.wasWritable),
    status: lost.isPipelined ? undefined : sending.status,
    mayEnd: typeof text !== 'string' || mayEndTransaction(text, vitals.hasStandardStrings),
    isExtended: query.requiresPreparation?.() ?? false,
    fatalSqlstate: 'severity' in cause ? codeOf(cause) : undefined,
    isFirstWord: !lost.isPipelined && isOnlyMessage(cause, sending.bytesRead, bytesRead),
    isDirect: lost.isDirect && vitals.leadsTo !== 'pooler',
    isUnreplicated: sending.isUnreplicated,
    ...(sending.isAstray && { isAstray: true }),
  }
  return lossError(addressOf(client), evidence, cause)
}

/** The error for a statement that was still queued. */
export function loseQueued(client: PeerClient, cause: Error): Error {
  const evidence = {
    statement: UNKNOWN,
    isUnsent: true,
    status: undefined,
    mayEnd: true,
    isExtended: false,
    fatalSqlstate: undefined,
    isFirstWord: false,
  }
  return lossError(addressOf(client), { ...evidence, isDirect: false, isUnreplicated: false }, cause)
}

const ROLLBACK = /^\s*(?:rollback|abort)\b/i

/**
 * The error for a statement on a client whose connection was lost before. ORMs and blogs send ROLLBACK when COMMIT has failed, and keep the error of the second: "not executed" would be taken for the fate of
 * the transaction. So it is told what COMMIT was told.
 */
export function loseBehind(client: PeerClient, { mayRemain }: Pick<Vitals, 'mayRemain'>, query: PeerQuery, cause: Error): Error {
  const text = textOf(query)
  return mayRemain && typeof text === 'string' && ROLLBACK.test(text) ? mayRemain : loseQueued(client, cause)
}

/** Closed by its owner, who knows, as pg-pool's own tests want it. But not what others have on it who share it. */
export function isOwners({ isEvicted }: Pick<Vitals, 'isEvicted'>, error: Error): boolean {
  return !isInterruption(error) && !isEvicted
}

/** May something be left of it? That a statement behind it was not executed is then half of the truth. */
export function mayRemain(error: Error): boolean {
  const { outcome, reason } = lossOf(error)?.verdict ?? { outcome: 'not-executed' }
  return outcome !== 'not-executed' && reason !== 'read'
}

/** The same loss, judged with more knowledge than at first. */
export function judgeAgain({ evidence, cause, where }: Loss, { isDirect }: Pick<LossEvidence, 'isDirect'>): Error {
  return lossError(where, { ...evidence, isDirect }, cause)
}

/** Thaw took it for a read, lost it, and was refused when it sent it again inside READ ONLY. So it is unknown what the first attempt did. */
export function wasNoRead(error: Error, loss: Loss | undefined): Error | undefined {
  if (!loss || codeOf(error) !== '25006') return undefined
  return lossError(loss.where, { ...loss.evidence, statement: { ...UNKNOWN, kind: 'write' } }, loss.cause)
}

/** It tells settings, and nothing else: inside a transaction of ours it would tell that one's. It is sent again as it is. */
export function asksOnlySettings({ evidence: { statement } }: Loss): boolean {
  return statement.kind === 'read' && statement.asksSettings === 'only'
}

/** While its first connection may still answer. */
export function howBeside(loss: Loss): 'as it is' | 'inside READ ONLY' {
  return asksOnlySettings(loss) ? 'as it is' : 'inside READ ONLY'
}

/** For people. */
export function addressOf(client: PeerClient): string {
  return address(targetOf(client))
}

/** An ErrorResponse's length does not include its type byte: is it all that has come? */
function isOnlyMessage(cause: Error, before: number | undefined, now: number | undefined): boolean {
  const { length } = cause as { length?: unknown }
  return typeof length === 'number' && before !== undefined && now !== undefined && now - before === length + 1
}

function lossError(where: string, evidence: LossEvidence, cause: Error): Error {
  const loss: Loss = { verdict: judgeLoss(evidence), evidence, cause, where }
  const error = errorOfLoss(loss, wireFacts(cause))
  losses.set(error, loss)
  return error
}

/** The error for the statement's caller. `wire`: what the socket reported. */
export function errorOfLoss({ verdict, evidence, cause, where }: Loss, wire: WireFacts): Error {
  const { outcome, reason } = verdict
  const leftNothing = outcome === 'not-executed' || reason === 'read'
  if (leftNothing && isInterruption(cause)) return cause
  const message = `${cause.message}: the connection to ${where} was lost ${ADVICE[reason]}`
  if (outcome === 'executed') return new ReplicationUnconfirmedError({ message, cause })
  if (leftNothing) return new ConnectionLostError({ verdict, message, cause, wire })
  const { statement, status, fatalSqlstate } = evidence
  const inTransaction = status === 'T' || status === 'E'
  const answered = !evidence.isFirstWord && fatalSqlstate !== undefined
  return new OutcomeUnknownError({
    reason,
    message,
    cause,
    evidence: { statement: statement.kind, inTransaction, answered, ...(fatalSqlstate !== undefined && { fatalSqlstate }) },
  })
}

const RUN_AGAIN = 'Nothing of it remains: run the whole transaction again.'

const ADVICE: Readonly<Record<OutcomeVerdict['reason'], string>> = {
  unsent: 'before the statement was sent. It was not executed.',
  'ended-while-idle': 'because the server had ended it while it was idle. The statement was not executed.',
  'ended-before-start': 'before the server started the statement. It was not executed.',
  'nothing-durable': 'during a transaction command that commits nothing. Nothing was changed.',
  'transaction-timeout': `because the transaction took too long. ${RUN_AGAIN}`,
  'transaction-failed': `in a transaction that had already failed. ${RUN_AGAIN}`,
  'transaction-rolled-back': `in a transaction, before its end was sent: the server rolls it back. ${RUN_AGAIN}`,
  read: 'while waiting for the answer. The statement only reads: it can be sent again.',
  'commit-in-flight': 'after the end of the transaction was sent. It may have been committed: check before retrying.',
  'write-in-flight': 'after the statement was sent. It may have been executed: check before retrying.',
  unreplicated:
    'after the commit on the primary, but before its replicas confirmed. It is committed, though a failover could lose it: do not send it again.',
}

/**
 * What other code's predicates read. For an end without an error node-postgres has only a message; here it gets the code that Node itself
 * uses when the other end breaks off.
 */
function wireFacts(cause: Error): WireFacts {
  if (saysLost(cause)) return { code: 'ECONNRESET', errno: errnoOf('ECONNRESET'), syscall: 'read' }
  const { errno, syscall } = cause as WireFacts
  return { code: codeOf(cause), errno, syscall }
}
