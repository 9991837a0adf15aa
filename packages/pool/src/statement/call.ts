/** One call of `pool.query()`: what is known of it, and the ways to send its statement. */

import { type Invocation, resumeInvocation } from '@thaw/core'
import type pg from 'pg'
import type { Loss } from '../connection/lost-statement.ts'
import type { Reader } from '../connection/shared-connection.ts'
import type { StatementTrace } from '../connection/traced-client.ts'
import { type Answer, sendSeen, sendUnseen, withText } from '../connection/unseen.ts'
import { whenListenersEnd } from '../connection/when-finished.ts'
import { type Context, runIn } from '../driver/async-context.ts'
import { type PeerClient, queuedQueriesOf } from '../driver/peer.ts'
import type { Callback } from '../driver/promisify.ts'
import { peekAt } from '../driver/query-form.ts'
import type { Waiter } from '../driver/waiter.ts'
import type { Settings } from '../options/options.ts'
import type { Sent } from './as-first-sent.ts'

/** Two losses in a row can be chance, three are an outage. */
export const MOST_REPEATS = 2

export interface Call extends Reader {
  /** What it was when it was first sent, if that can have changed. */
  sent?: Sent | undefined
  /** It goes out under a name of the pool's: what its caller gave. */
  readonly plain?: Sent | undefined
  readonly done: Callback<pg.QueryResult>
  /** It ends the wait for a connection. Read once: a getter may throw the next time. */
  readonly signal: unknown
  /** The invocation of its caller. Callbacks run in the context of whatever calls them. */
  readonly invocation: Invocation | undefined
  /** Its async context, if that matters. */
  readonly context: Context | undefined
  /** The text after the wrappers of `client.query()`, which have seen it and wait for the answer. */
  readonly seenText?: string
  /** How often it may still be retried, if it certainly was not executed. */
  readonly repeats: number
  /** The loss because of which it is sent once more, although it may have been executed. */
  readonly secondTry?: { readonly loss: Loss; readonly how: 'inside READ ONLY' | 'as it is' }
  /** It was sent behind a probe that was never answered: for its caller it counts as still being checked, where a dead connection costs nothing. */
  readonly isAtDoor?: boolean
  /** The retry budget was charged for the loss of its connection already. */
  readonly isPaid?: boolean
  /** Beside another attempt the server works on it for so long. */
  readonly mostMillis?: number
  /** It was part of a run in which another one was refused. */
  readonly isAlone?: boolean
  /** The channel of statements has a listener. */
  readonly trace?: StatementTrace
  /** It was refused by a standby where the primary had been. */
  readonly wasRefused?: boolean
}

export type Settle = (error: Error | null | undefined, result?: pg.QueryResult) => void

/** Where nothing can be changed: what a lexer takes for a read may not be one. */
export function readOnly(client: PeerClient, call: Call, settings: Settings, settle: Settle): void {
  const end: Settle = (error, result) => {
    inFront(client, () => sendUnseen(client, error ? 'ROLLBACK' : 'COMMIT', undefined, () => settle(error, result)))
  }
  const begun: Settle = (failure) => {
    if (failure) settle(failure)
    else inFront(client, () => send(client, call, end))
  }
  const bound = call.mostMillis ? `; SET LOCAL statement_timeout = ${call.mostMillis}` : ''
  const begin = () => sendUnseen(client, `BEGIN READ ONLY${bound}`, undefined, (failure) => resume(call, () => begun(failure)))
  whenListenersEnd(client, settings, undefined, begin)
}

/** In the middle of our transaction: what other code has queued meanwhile, a listener of `connect` for instance, goes out behind it. */
function inFront(client: PeerClient, sendOurs: () => void): void {
  const queue = queuedQueriesOf(client)
  const others = queue.splice(0)
  try {
    sendOurs()
  } finally {
    queue.push(...others)
  }
}

/** Bypasses the wrappers, if they have seen it already. */
export function send(client: PeerClient, { text, values, seenText }: Call, settle: Settle): void {
  if (seenText !== undefined) sendUnseen(client, withText(text, seenText), values, settle as Answer)
  else client.query(text as string, values as unknown[], settle as (error: Error, result: pg.QueryResult) => void)
}

/** For the first attempt, if `client.query()` is wrapped. Returns what changes in the call from now on. */
export function sendFirst(client: PeerClient, { text, values, done }: Call, settle: Settle): Pick<Call, 'done' | 'seenText'> | undefined {
  const seen = sendSeen(client, text, values, settle as Answer, done as Answer)
  return seen && { seenText: seen.text, done: seen.answer as Call['done'] }
}

/** pg calls back in the socket's context. */
export function resume<Result>({ context, invocation }: Call, work: () => Result): Result {
  return context ? runIn(context, work) : resumeInvocation(invocation, work)
}

export function isIdempotent({ text }: Call): boolean {
  return peekAt(text, 'idempotent') === true
}

/** It is the first to read what the caller gave: a getter or a Proxy may throw. */
export function signalOf(text: unknown): unknown {
  return typeof text === 'object' ? (text as { signal?: unknown } | null)?.signal : undefined
}

/** What kind of connection is wanted, and by whom. */
export interface Wish {
  readonly signal: unknown
  /** Asked only where it matters: will a connection do that has not been proven, if it is not known to be dead? */
  readonly mayPiggyback?: (() => boolean) | undefined
  readonly share?: Waiter['share']
  readonly place?: Waiter['place']
  /** The call came before the pool was ended, if it is. */
  readonly isAtDoor?: boolean | undefined
  /** It is our own doing: no wrapper of `connect` hears of it. */
  readonly isUnseen?: boolean
}

/** For what the pool does by itself. */
export const OWN: Wish = { signal: undefined, isAtDoor: true, isUnseen: true }
