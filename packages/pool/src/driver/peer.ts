/**
 * The slice of pg and pg-pool that Thaw uses beyond their public types. Everything undocumented that we touch is named here, once, with the
 * versions in which it was read: pg 8.11 to 8.23, pg-pool 3.6 to 3.14.
 */

import type { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import type { POOL_USES, PoolUses } from '@thaw/core'
import type pg from 'pg'

/** A net.Socket or TLSSocket, or whatever the `stream` option made. */
export interface PeerStream extends Duplex {
  /** Bytes received so far; with TLS, decrypted ones. */
  readonly bytesRead?: number
  /** Where it goes, and from where. Undefined if the socket does not report it. */
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  readonly localPort?: number | undefined
}

/** pg's Connection: the protocol on one socket. */
export interface PeerConnection extends EventEmitter {
  /** Replaced by the TLS socket once the handshake begins: never keep it. */
  readonly stream: PeerStream
  ssl: boolean | Record<string, unknown>
  /** `direct`: TLS begins without negotiation. Since pg 8.23. */
  readonly sslNegotiation?: string
  /** Statements by their names: those that the server has parsed, and (since pg 8.22) those that were sent. */
  readonly parsedStatements?: Readonly<Record<string, string | undefined>>
  /** Set before it is closed from this side: what the socket then reports of its loss is no error. */
  _ending?: boolean
  sendSCRAMClientFinalMessage(response: string): void
}

/** What is queued in a client, or runs: pg's Query, or anything else with a `submit`. */
export interface PeerQuery {
  readonly text?: unknown
  /** The name that it is prepared under, and that of its portal. Only pg's own Query has both. */
  name?: unknown
  readonly portal?: unknown
  /** This many rows at a time. Only pg's own Query has this. */
  readonly rows?: unknown
  callback?: ((error: Error | null, result?: unknown) => void) | undefined
  /** Will it use the extended protocol? Only pg's own Query has this. */
  requiresPreparation?(): boolean
  /** Not even what takes no time has been answered: ours, in front of the user's statements or by itself. Only a flight of ours has this. */
  readonly awaitsFirst?: boolean
  handleError(error: Error, connection: PeerConnection): void
  /** Sends it. Returns why it was not sent, if it was not. */
  submit?(connection: PeerConnection): Error | null | undefined
  /** Its answer is complete. */
  handleReadyForQuery?(connection: PeerConnection): void
}

/** One of RowDescription. */
export interface DescribedColumn {
  readonly name: string
  readonly dataTypeID: number
  readonly format: string
}

/** RowDescription, as pg passes it on. */
export interface RowDescription {
  readonly fields: readonly DescribedColumn[]
}

/** pg's own Query, as far as it deals with the columns of an answer. */
export interface DescribedQuery {
  readonly callback?: unknown
  readonly _result?: {
    /** Of an earlier statement of one text. */
    readonly command?: unknown
    readonly _types?: { getTypeParser(type: number, format: string): unknown }
    addFields(fields: readonly DescribedColumn[]): void
    fields: readonly DescribedColumn[]
    _parsers: readonly unknown[] | undefined
    /** Each row is a copy of it. Since pg 8.11. */
    _prebuiltEmptyResultObject: object | null
  }
  _accumulateRows?: unknown
  listeners(name: 'row'): readonly unknown[]
  handleRowDescription(message: RowDescription): void
}

/** What `connect` calls back with. */
export type ConnectResult = [error?: Error | null, client?: unknown]

/** pg's Client. What is optional here is missing in older versions, in pg-native, or in clients made by users. */
export interface PeerClient extends Omit<pg.PoolClient, 'pipeline'> {
  readonly connection: PeerConnection & pg.Connection
  /** False from the first connection error on. */
  _queryable?: boolean
  /** True from `end()` on. */
  readonly _ending?: boolean
  /** Results of the extended protocol come as bytes. */
  readonly binary?: boolean
  /** Statements are sent without waiting for the answers to earlier ones. Since pg 8.22. */
  readonly pipeline?: boolean
  /** False while a statement is running, or the server has not yet said that it is ready for the next. Undefined until the login has succeeded. */
  readonly readyForQuery?: boolean
  /** The backend, as reported at login: for CancelRequest. A pooler makes up both. */
  readonly processID?: number | null
  readonly secretKey?: number | Buffer | null
  /** Its own bound on a connection attempt, in milliseconds. 0: none. */
  _connectionTimeoutMillis?: number
  /** True from the start of the connection attempt until the login has succeeded. */
  readonly _connecting?: boolean
  /** `connect`, in both its forms. */
  _connect?(done: (...result: ConnectResult) => void): void
  readonly connectionParameters?: { query_timeout?: number | string | undefined; readonly options?: string | undefined }
  /** How often it was released. pg-pool's. */
  _poolUseCount?: number
  ref?(): void
  unref?(): void
}

/** The transaction status in each ReadyForQuery: idle, in a transaction, in a failed one. Undefined before the first. */
export type TransactionStatus = 'I' | 'T' | 'E' | undefined

/** ReadyForQuery, as pg passes it on. */
export interface ReadyMessage {
  readonly status?: TransactionStatus
}

/** pg's state of a SCRAM login: what it remembers between the server's messages. */
export interface ScramSession {
  readonly mechanism: string
  readonly clientNonce: string
  /** The most rounds that the user allows, since pg 8.21. 0: any number. */
  readonly scramMaxIterations?: number
  /** `SASLInitialResponse` once the first message is sent, `SASLResponse` once the second one is made. */
  message: string
  /** What goes to the server. */
  response: string
  /** What the server has to answer in the end. pg compares it. */
  serverSignature?: string
}

/** The same, with the private members that we override. */
export interface PeerClientBase {
  readonly connection: PeerConnection
  _queryable: boolean
  _ending: boolean
  readonly _connecting: boolean
  readyForQuery: boolean
  readonly pipeline?: boolean
  readonly connectionParameters: { query_timeout?: number | string | undefined }
  emit(name: string): boolean
  connect(callback?: (error: Error) => void): unknown
  query(config: unknown, values?: unknown, callback?: unknown): unknown
  _pulseQueryQueue(): void
  _errorAllQueries(error: Error): void
  _handleErrorMessage(message: Error): void
  _handleErrorEvent(error: Error): void
  _handleCommandComplete(message: { text: string }): void
  /** In place of CommandComplete, where a text is nothing but comments. */
  _handleEmptyQuery(message: object): void
  _handleRowDescription(message: RowDescription): void
  _handleDataRow(message: { readonly fields: readonly unknown[] }): void
  _handleNotice(message: object): void
  _handleParseComplete(message: object): void
  readonly password: unknown
  readonly saslSession?: ScramSession | null
  readonly enableChannelBinding?: boolean
  _handleAuthSASLContinue(message: { readonly data: string }): Promise<void>
  _handleReadyForQuery(message: ReadyMessage): void
}

export type ClientClass = new (config?: unknown) => PeerClientBase

/** What a client keeps of its statements. Renamed in pg 8.19, where the old names warn. */
interface Statements {
  _activeQuery?: PeerQuery | null
  activeQuery?: PeerQuery | null
  readonly _queryQueue?: PeerQuery[]
  readonly queryQueue?: PeerQuery[]
  readonly _sentQueryQueue?: PeerQuery[]
}

const NONE: PeerQuery[] = []

/** The statement that the server is answering. */
export function activeQueryOf(client: object): PeerQuery | undefined {
  const statements = client as Statements
  return ('_activeQuery' in statements ? statements._activeQuery : statements.activeQuery) ?? undefined
}

/** Takes the statement that the server is answering away from pg. */
export function forgetActiveQuery(client: object): void {
  setActiveQuery(client, null)
}

/** What the server says next is for that statement. */
export function setActiveQuery(client: object, query: PeerQuery | null): void {
  const statements = client as Statements
  if ('_activeQuery' in statements) statements._activeQuery = query
  else statements.activeQuery = query
}

/** pg sends the next statement at once if the server is ready, and queues it otherwise. */
export function setReady(client: object, isReady: boolean): void {
  ;(client as { readyForQuery: boolean }).readyForQuery = isReady
}

/** The server is ready, and pg sends what has been queued meanwhile. */
export function becomeReady(client: object): void {
  setReady(client, true)
  if (queuedQueriesOf(client).length > 0) (client as PeerClientBase)._pulseQueryQueue()
}

/** Statements that were not sent yet. pg's own list. */
export function queuedQueriesOf(client: object): PeerQuery[] {
  const statements = client as Statements
  return statements._queryQueue ?? statements.queryQueue ?? NONE
}

/** Statements that were sent in pipeline mode, behind the active one. pg's own list. */
export function sentQueriesOf(client: object): PeerQuery[] {
  return (client as Statements)._sentQueryQueue ?? NONE
}

/** pg tells from now on, by `drain`, when it has nothing more to do. */
export function noteExecution(client: object): void {
  ;(client as { hasExecuted?: boolean }).hasExecuted = true
}

/** What waits in pg-pool's queue. `timedOut` is pg-pool's; the times are ours. */
export interface PendingItem {
  readonly callback: ConnectCallback
  readonly timedOut?: boolean
}

export type Release = (error?: Error | boolean) => void
export type ConnectCallback = (error: Error | undefined, client: PeerClient | undefined, release: Release) => void

/** A client in pg-pool's list of idle ones, newest last. */
export interface IdleItem {
  readonly client: PeerClient
}

/** pg-pool's Pool, with its private members. */
export interface PeerPool<Item extends PendingItem> extends Omit<pg.Pool, 'options' | 'query' | 'connect' | 'end' | 'emit'> {
  emit(name: string | symbol, ...values: unknown[]): boolean
  readonly options: pg.PoolOptions & { Client?: unknown; poolSize?: number }
  /** Clients that have outlived `maxLifetimeSeconds` while they were in use. */
  readonly _expired: WeakSet<object>
  Client: new (options: unknown) => PeerClient
  readonly Promise: PromiseConstructor
  log: (...messages: unknown[]) => void
  _clients: PeerClient[]
  readonly _idle: IdleItem[]
  readonly _pendingQueue: Item[]
  ending: boolean
  ended: boolean
  _endCallback: (() => void) | undefined
  _pulseQueue(): void
  _remove(client: PeerClient, callback?: () => void): void
  [POOL_USES]?: PoolUses | undefined
}

/**
 * Failures for which pg has only a message. Matched whole, and only here; `peer.test.ts` fails when pg changes them.
 *
 * - `Connection terminated unexpectedly`: the socket ended without an error (pg/lib/client.js).
 * - `Connection terminated due to connection timeout`: pg-pool gave up on a connection attempt (pg-pool/index.js).
 * - `timeout expired`: the client itself gave up on a connection attempt (pg/lib/client.js).
 * - `Network connection lost.`: workerd, of an open socket (its message for kj's DISCONNECTED; no code there either).
 */
const LOST_MESSAGES: ReadonlySet<string> = new Set([
  'Connection terminated unexpectedly',
  'Connection terminated due to connection timeout',
  'timeout expired',
  'Network connection lost.',
])

const lost = new WeakSet<object>()

/** For failures of a driver's own that have neither a code nor pg's message. */
export function markLost<Failure extends Error>(error: Failure): Failure {
  lost.add(error)
  return error
}

/** Does the driver report, by message only, that the connection is lost? */
export function saysLost(error: unknown): boolean {
  return error instanceof Error && (lost.has(error) || (!('code' in error) && LOST_MESSAGES.has(error.message)))
}

/** workerd, if nothing answers there, or the name is not known: it does not say which. Tested in tests/platforms. */
const UNREACHABLE = 'proxy request failed, cannot connect to the specified address'

/** Does the runtime report, by message only, that nothing answers at the address? */
export function saysUnreachable(error: unknown): boolean {
  return error instanceof Error && error.message === UNREACHABLE
}

/** A cursor, a stream, or a Query made by the caller: it has state, and cannot be sent twice. */
export function isSubmittable(text: unknown): boolean {
  return typeof (text as { submit?: unknown } | null)?.submit === 'function'
}

/** pg-cursor's own name for the state of a cursor that has been read from, and waits to be read from again. pg-query-stream contains one. */
export function isRestingCursor(query: unknown): boolean {
  const { cursor = query } = (query ?? {}) as { readonly cursor?: unknown }
  return isSubmittable(cursor) && (cursor as { readonly state?: unknown }).state === 'idle'
}

/** pg-cursor's Cursor. Read in pg-cursor 2.7 to 2.22. */
export interface PeerCursor {
  state: string
  connection: object | null
  /** The read under way. */
  _cb: unknown
  /** Queued reads. */
  readonly _queue: [rows: number, callback: (error: Error | null, rows: unknown[]) => void][]
  readonly _Promise?: PromiseConstructor
  readonly text?: unknown
  close(callback?: (error?: Error) => void): unknown
}

/** The cursor that the statement is, or that a row stream (pg-query-stream) contains. */
export function cursorOf(query: object): PeerCursor | undefined {
  const inner: object = (query as { cursor?: object }).cursor ?? query
  const { state, _queue, close } = inner as Partial<PeerCursor>
  return typeof state === 'string' && Array.isArray(_queue) && typeof close === 'function' ? (inner as PeerCursor) : undefined
}

/** The statement's text. */
export function textOf(query: PeerQuery): unknown {
  return query.text ?? cursorOf(query)?.text
}
