/** Publishes what a client does, on the channels that node-postgres is to have: statements and connects. */

import { type Channel, channelOf, type End, type TraceContext, Tracing } from '../driver/diagnostics.ts'
import { isSubmittable, type PeerClient, type PeerQuery, textOf } from '../driver/peer.ts'
import type { Callback } from '../driver/promisify.ts'

/** The context of `pg:query`, as in node-postgres#3650. No parameter values: they may be secret. */
interface StatementContext extends TraceContext {
  readonly query: { readonly text: unknown; readonly name: unknown }
  /** The connection: the last one, if the statement was sent more than once. */
  client: ConnectionFacts
}

interface ConnectionContext extends TraceContext {
  readonly connection: ConnectionFacts
}

interface ConnectionFacts {
  readonly database: unknown
  readonly host: unknown
  readonly port: unknown
  readonly user: unknown
  readonly ssl: boolean
  readonly processID?: unknown
}

type Send = (config: unknown, values: unknown, callback: unknown) => unknown
type Answer = (error: unknown, result?: unknown) => unknown

/** Statements. One of `pool.query()` is one, however often it is sent. */
export const statements: Tracing<StatementContext> = new Tracing('pg:query')
/** Opening connections, each attempt separately. */
export const connects: Tracing<ConnectionContext> = new Tracing('pg:connection')
const removals: Channel = channelOf('pg:pool:remove')
const returns: Channel = channelOf('pg:pool:release')

/** A statement on a client that a caller has acquired. */
export function traceStatement(client: PeerClient, config: unknown, values: unknown, callback: unknown, send: Send): unknown {
  const context = { query: queryFacts(config), client: factsOf(client, client.processID) }
  return statements.begin(context, (end) => sendTraced(end, config, values, callback, send), client.constructor)
}

function sendTraced(end: End, config: unknown, values: unknown, callback: unknown, send: Send) {
  const told =
    (answer: Answer): Answer =>
    (error, result) =>
      end(error, resultFacts(result), () => answer(error, result))
  if (isSubmittable(config)) {
    endWith(config as PeerQuery, end)
    return send(config, values, callback)
  }
  if (typeof callback === 'function') return send(config, values, told(callback as Answer))
  // In its place: wrappers look for it there.
  if (typeof values === 'function') return send(config, told(values as Answer), undefined)
  const { callback: own } = config as { callback?: unknown }
  if (typeof own === 'function') return send({ ...(config as object), callback: told(own as Answer) }, values, undefined)
  return awaited(send(config, values, undefined), end)
}

/** Connecting it. */
export function traceConnect(
  client: PeerClient,
  callback: ((error: Error) => void) | undefined,
  connect: (callback?: never) => unknown,
): unknown {
  const work = (end: End) => {
    if (!callback) return awaited(connect(), end)
    const told = (error: Error) => end(error, undefined, () => callback(error))
    return connect(told as never)
  }
  return connects.begin({ connection: factsOf(client) }, work, client.constructor)
}

/** Reports a statement of `pool.query()`, on whatever connections it is sent. */
export interface StatementTrace {
  /** It is sent on this one, perhaps again. */
  sentOn(client: PeerClient): void
}

/** One statement of `pool.query()`. */
export function tracePoolStatement<Result>(
  client: PeerClient,
  { text, done }: { readonly text: unknown; readonly done: Callback<Result> },
  run: (traced: { readonly trace: StatementTrace; readonly done: Callback<Result> }) => void,
): void {
  const context: StatementContext = { query: queryFacts(text), client: factsOf(client, client.processID) }
  const trace: StatementTrace = {
    sentOn(next) {
      context.client = factsOf(next, next.processID)
    },
  }
  const begin = (end: End) => {
    const told: Callback<Result> = (error, result) => end(error, resultFacts(result), () => done(error, result))
    run({ trace, done: told })
  }
  statements.begin(context, begin, client.constructor)
}

/** It was released to the pool. */
export function tellReleased({ processID }: PeerClient, error: Error | boolean | undefined): void {
  if (returns.hasSubscribers) returns.publish({ client: { processID }, error: error || undefined })
}

/** It has left the pool. */
export function tellRemoved({ processID }: PeerClient): void {
  if (removals.hasSubscribers) removals.publish({ client: { processID } })
}

/** The promise that the caller gets: the statement has ended when it settles. */
function awaited(result: unknown, end: End): unknown {
  const { then } = (result ?? {}) as { then?: unknown }
  if (typeof then !== 'function') return result
  return (result as Promise<unknown>).then(
    (value) => {
      end(undefined, resultFacts(value))
      return value
    },
    (error: unknown) => {
      end(error)
      throw error
    },
  )
}

/** A cursor or a stream has ended when the server is ready for the next statement. */
function endWith(query: PeerQuery & { readonly shownResult?: unknown }, end: End): void {
  const hooked = query as unknown as Record<'handleReadyForQuery' | 'handleError', ((...values: unknown[]) => unknown) | undefined>
  const { handleReadyForQuery, handleError } = hooked
  hooked.handleReadyForQuery = (...values) => {
    return end(undefined, resultFacts(query.shownResult), () => handleReadyForQuery?.apply(query, values))
  }
  hooked.handleError = (...values) => {
    return end(values[0], undefined, () => handleError?.apply(query, values))
  }
}

function queryFacts(config: unknown): StatementContext['query'] {
  if (typeof config !== 'object' || config === null) return { text: config, name: undefined }
  return { text: textOf(config as PeerQuery), name: (config as { name?: unknown }).name }
}

function resultFacts(result: unknown): object | undefined {
  // For several statements in one text, pg-pool's callers get a list.
  const last: unknown = Array.isArray(result) ? result.at(-1) : result
  if (typeof last !== 'object' || last === null || !('command' in last)) return undefined
  const { rowCount, command } = last as { rowCount?: unknown; command: unknown }
  return { rowCount, command }
}

function factsOf(client: PeerClient, processID?: unknown): ConnectionFacts {
  const { database, host, port, user, ssl } = client as unknown as Record<keyof ConnectionFacts, unknown>
  return { database, host, port, user, ssl: Boolean(ssl), ...(processID !== undefined && { processID }) }
}
