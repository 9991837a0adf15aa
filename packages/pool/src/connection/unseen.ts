/**
 * What tracing tools see of statements. They wrap `query` of the driver's Client: each call is a statement to them, from the call to its callback. So what the
 * pool asks for itself goes past the wrappers, and a statement that is sent again answers the call that they have seen.
 */

import { activeQueryOf, isSubmittable, type PeerClient, type PeerQuery, queuedQueriesOf, sentQueriesOf } from '../driver/peer.ts'
import { watchMethod } from '../driver/stock.ts'
import { VITALS, type Vitals, WATCHED } from './vitals.ts'

/** How a watched client sends something past whatever is put around its `query`. */
export const UNSEEN: unique symbol = Symbol('thaw.pg.unseen')

/** As pg calls back. */
export type Answer = (error: Error | null | undefined, result?: unknown) => void

type Send = (config: unknown, values: unknown, callback: unknown) => unknown

/** Sends a statement of ours. A client of a class that is not watched has one way only. */
export function sendUnseen(client: PeerClient, config: unknown, values: unknown, callback: Answer): void {
  const send = (client as unknown as { readonly [UNSEEN]?: Send })[UNSEEN]
  if (send) send.call(client, config, values, callback)
  else (client.query as Send)(config, values, callback)
}

/** A statement that the wrappers have seen. */
export interface Seen {
  /** Its text, as they have made it: some add a comment. */
  readonly text: string
  /** Answers the wrappers, and they their caller. Once. */
  readonly answer: Answer
}

/**
 * Sends the caller's statement, which may have to be sent again. `settle` is told by the driver what became of it. Returned is what the wrappers have to be
 * told in the end: they call `done`. Undefined: nobody has wrapped anything, and `settle` is all there is.
 *
 * A class of the user's with a `query` of its own may do anything in it, once for each time that the statement is sent. So may a wrapper that sends
 * something else beside it. They are called again.
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

/** The configuration with the text that wrappers have made. */
export function withText(config: unknown, text: string | undefined): unknown {
  if (text === undefined) return config
  // Over the caller's own: what it has may come from a prototype.
  return typeof config === 'string' ? text : Object.create(config as object, { text: { value: text, enumerable: true } })
}

/** Tells whether somebody has wrapped `query` of the driver's Client, and the given client's class leaves it at that. */
export function watchQuery({ prototype }: { readonly prototype: object }): (client: PeerClient) => boolean {
  const wrapper = watchMethod(prototype, 'query', 'client.query')
  return (client) => {
    const wrapped = wrapper()
    return wrapped !== undefined && innerQueryOf(client) === wrapped
  }
}

/** What the watched class calls. Undefined: the client is of no such class, or of one that overrides it. */
function innerQueryOf(client: object): unknown {
  let owner = client
  while (!Object.hasOwn(owner, 'query')) {
    const next = Object.getPrototypeOf(owner) as object | null
    if (!next) return undefined
    owner = next
  }
  if (!Object.hasOwn(owner, WATCHED)) return undefined
  return (Object.getPrototypeOf(owner) as { readonly query?: unknown }).query
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
