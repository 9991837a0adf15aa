/**
 * What tracing tools see of statements. They wrap `query` of the driver's Client: to them each call is a statement, from the call to its
 * callback. So the pool's own queries bypass the wrappers, and a statement that is sent again answers the call that they have seen.
 */

import type { Driver } from '../driver/driver.ts'
import { nextTick } from '../driver/next-tick.ts'
import { activeQueryOf, isSubmittable, type PeerClient, type PeerQuery, queuedQueriesOf, sentQueriesOf } from '../driver/peer.ts'
import { watchMethod } from '../driver/stock.ts'
import { VITALS, type Vitals } from './vitals.ts'

/** How a watched client sends something past any wrapper of its `query`. */
export const UNSEEN: unique symbol = Symbol('thaw.pg.unseen')

/** As pg calls back. */
export type Answer = (error: Error | null | undefined, result?: unknown) => void

type Send = (config: unknown, values: unknown, callback: unknown) => unknown

/**
 * Sends one of our own statements. A client of a class that is not watched has only one way. What a patched method of the driver throws is an answer, too: the
 * one that counts, although pg reports the end of the connection to what it took for sent.
 */
export function sendUnseen(client: PeerClient, config: unknown, values: unknown, callback: Answer): void {
  const send = (client as unknown as { readonly [UNSEEN]?: Send })[UNSEEN]
  let isTold = false
  const answer: Answer = (error, result) => {
    if (isTold) return
    isTold = true
    callback(error, result)
  }
  try {
    if (send) send.call(client, config, values, answer)
    else (client.query as Send)(config, values, answer)
  } catch (thrown) {
    if (isTold) throw thrown
    nextTick(() => answer(thrown as Error))
  }
}

/** A statement that the wrappers have seen. */
export interface Seen {
  /** Its text after the wrappers: some add a comment. */
  readonly text: string
  /** Answers the wrappers, which answer their caller. Once. */
  readonly answer: Answer
}

/**
 * Sends the caller's statement, which may have to be sent again. The driver calls `settle` with the result. Returns the function that
 * reports the final result to the wrappers: it calls `done`. Undefined: nothing is wrapped, and `settle` is all there is.
 *
 * A user's class with its own `query` may do anything in it, each time the statement is sent. So may a wrapper that sends something else
 * beside it. They are called again.
 */
export function sendSeen(client: PeerClient, config: unknown, values: unknown, settle: Answer, done: Answer): Seen | undefined {
  const vitals = (client as unknown as { readonly [VITALS]?: Vitals })[VITALS]
  let seen: Seen | undefined
  let isAnswered = false
  const text = typeof config === 'string' ? config : (config as { readonly text?: unknown } | null)?.text
  const isOurs = vitals && typeof text === 'string' && !isSubmittable(config)
  if (isOurs)
    vitals.sent = (query) => {
      const { callback: outer } = query
      if (!outer || isAnswered || !isAlone(client) || typeof query.text !== 'string' || !query.text.includes(text)) return
      let isTold = false
      query.callback = settle
      seen = {
        text: query.text,
        answer: (error, result) => {
          if (isTold) return
          isTold = true
          // As pg calls it.
          outer.call(query, error ?? null, result)
        },
      }
    }
  try {
    ;(client.query as Send)(config, values, (error: Error | null, result: unknown) => {
      isAnswered = true
      if (seen) done(error, result)
      else settle(error, result)
    })
  } finally {
    if (isOurs) vitals.sent = undefined
  }
  return seen
}

function isAlone(client: PeerClient): boolean {
  return queuedQueriesOf(client).length + sentQueriesOf(client).length + (activeQueryOf(client) ? 1 : 0) === 1
}

/** The configuration with the text after the wrappers. */
export function withText(config: unknown, text: string | undefined): unknown {
  if (text === undefined) return config
  // Over the caller's own object: its properties may come from a prototype.
  return typeof config === 'string' ? text : Object.create(config as object, { text: { value: text, enumerable: true } })
}

/** Where a watched client tells which `query` its own calls. Undefined: another one is in front of its own. */
export const INNER: unique symbol = Symbol('thaw.pg.inner')

/** What hears of a statement between the pool and the driver. */
export interface QueryWatch {
  /** A tool's wrapper, around the driver's `query` or around that of our own Client. What a class of the user's does is no wrapper. */
  isWrapped(client: PeerClient): boolean
  /** Nothing: neither a wrapper, nor a class of the user's, nor a method that was put on the client. */
  isPlain(client: PeerClient): boolean
}

export function watchQuery({ Client, PoolClient }: Pick<Driver, 'Client' | 'PoolClient'>): QueryWatch {
  const stock = Client.prototype as Queryable
  const ours = PoolClient.prototype as Queryable
  const wrapper = watchMethod(stock, 'query', 'client.query')
  const own = ours.query
  return {
    isWrapped(client) {
      const wrapped = wrapper()
      if (wrapped === undefined && ours.query === own) return false
      const inner = (client as Queryable)[INNER]
      return inner === undefined ? client.query === ours.query : inner === wrapped
    },
    isPlain: (client) => wrapper() === undefined && (client as Queryable)[INNER] === stock.query,
  }
}

interface Queryable {
  readonly query?: unknown
  readonly [INNER]?: unknown
}

interface QueryMaker {
  readonly Query?: new (
    config: unknown,
    values: unknown,
    callback: Answer,
  ) => PeerQuery & { binary?: boolean; _result?: { _types?: unknown } }
}

/** What pg's `query` makes of a statement with a callback. Undefined: the class does not say how. */
export function makeQuery(client: object, config: unknown, values: unknown, callback: Answer): PeerQuery | undefined {
  const { Query } = client.constructor as QueryMaker
  if (!Query) return undefined
  const { binary, _types } = client as { readonly binary?: boolean; readonly _types?: unknown }
  const query = new Query(config, values, callback)
  if (binary && !query.binary) query.binary = true
  if (query._result && !query._result._types) query._result._types = _types
  return query
}
