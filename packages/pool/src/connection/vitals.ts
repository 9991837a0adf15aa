/** What is known about one client: read at acquire, written when the server sends something. */

import type { EventEmitter } from 'node:events'
import { type Clock, elapsedMillis, type IdleConnection, type Reading, read } from '@thaw/core'
import { keepListener } from '../driver/kept-listener.ts'
import {
  type IdleItem,
  type PeerClient,
  type PeerQuery,
  type PeerStream,
  type ReadyMessage,
  type Release,
  sentQueriesOf,
  type TransactionStatus,
} from '../driver/peer.ts'
import { connectionOf, streamOf } from '../driver/socket.ts'
import type { ConnectionState } from './connection-state.ts'
import type { KnownBackend } from './known-backend.ts'
import type { OneWrite } from './one-write.ts'
import type { OwnStatement } from './own-statement.ts'
import { guardParser } from './parser-guard.ts'
import type { Reader, SharedConnection } from './shared-connection.ts'
import { preferP256 } from './tls.ts'

/** Has a class of ours, which records by itself what the server sends. */
export const WATCHED: unique symbol = Symbol.for('thaw.pg.watched')

export function isWatched(client: object): boolean {
  return WATCHED in client
}

/** The state when the running statement was handed to the socket: the evidence, if its connection is lost. */
export interface Sending {
  /** pg silently sends nothing to a stream that is not writable. */
  wasWritable: boolean
  /** The socket's counter. Undefined if the socket has none. */
  bytesRead: number | undefined
  status: TransactionStatus
  /** The socket was in error when the write returned: the kernel took none of the bytes. */
  isRefused: boolean
  /** The server has warned that it committed without its replicas. */
  isUnreplicated: boolean
  /** A pooler has lost track of it, see `member-client.ts`. */
  isAstray?: boolean
}

/** PostgreSQL's read_only_sql_transaction. */
export const READ_ONLY = '25006'

/** Where a client keeps its record: a look-up in a WeakMap takes ten times as long, and each use takes six of them. */
export const VITALS: unique symbol = Symbol('thaw.pg.vitals')

/** A reply due from the server, ahead of the answer to any statement. */
export interface Owed {
  /** `piggybacked`: ParseComplete, in front of a statement's own answer. `probe`: ReadyForQuery, to our Sync. */
  readonly to: 'piggybacked' | 'probe'
  /** To a `probe`: so many of the pool's own statements are answered before it. Those that are sent while it is on its way are answered behind it. */
  behind?: number
  /** The reply has come. */
  answered(): void
}

/**
 * One client's record, for as long as the client exists. A class with each of its fields from the start: V8 makes an object literal with a getter in it one of the
 * slow kind, and a statement reads it fifty times.
 */
export class Vitals {
  readonly bornAt: Reading
  readonly generation: number
  readonly maxAgeMillis: number
  /** When the server first said that it is ready, on the monotonic clock: its backend is older. */
  readySince: number | undefined = undefined
  /** When the server last said that it is ready. */
  provenAt: Reading
  /** But it may have said so before the process stood still, and have been read only now: then it proves nothing. */
  isOldNews: boolean = false
  /** A statement is on it that was sent before the process stood still. */
  wasAskedBefore: boolean = false
  /** When a caller acquired it, on the monotonic clock. 0: there was no listener. Undefined: no caller has it. */
  acquiredAt: number | undefined = undefined
  /** When it was last released. */
  idleSince: Reading
  status: TransactionStatus = undefined
  /** What the server last reported as its `standard_conforming_strings`: whether a backslash in a constant is one. Undefined: nothing. */
  hasStandardStrings: boolean | undefined = undefined
  /** Changed by `enter` alone. */
  state: ConnectionState = 'connecting'
  /** In use by a `pool.query()`, which learns of a loss first and may send its statement again. */
  isPoolQuery: boolean = false
  /** That one is sent once more, although it may have been executed: not a third time. */
  isSecondTry: boolean = false
  /** The end of a transaction is on it: should its answer be lost, the server is asked, and what became of it is told then. */
  isFoundOut: boolean | undefined = undefined
  /** A write under a key is on it, which the table of keys settles whatever has become of it, or the reading of its rows: should it fall silent, its loss need not be proven. */
  isUnderKey: boolean | undefined = undefined
  /** What was told of a statement of which it is not certain that nothing remains: its connection is lost. */
  mayRemain: Error | undefined = undefined
  /** What the statement under which it was lost was told: its `error` event says the same. */
  told: Error | undefined = undefined
  /** What has ended it, whatever the event says. */
  lostBy: Error | undefined = undefined
  /** The server has ended its session, between two statements, and said why. */
  endedBy: Error | undefined = undefined
  /** When the probe on its way was sent, on the monotonic clock. Undefined: there is none. */
  askedAt: number | undefined = undefined
  /** A client that its caller has kept is being probed: the statements that wait for that, whose time begins then. Undefined: it is not. */
  asking: (() => void)[] | undefined = undefined
  /** It has answered a probe since it was last handed out. */
  probed: boolean = false
  /** Handed out unchecked: what is sent next must have a probe in front of it. */
  piggybacks: boolean = false
  /** What the server answers next, before any statement. Undefined: nothing of ours is on its way. */
  owed: Owed | undefined = undefined
  /** Statements of the pool's own that the server has not answered. Undefined until the first: most pools send none. */
  own: OwnStatement[] | undefined = undefined
  /** What its session is called, in a fleet. Undefined: it is in none. */
  fleetName: 'resting' | 'held' | undefined = undefined
  /** In a fleet: whose statement has named it otherwise than its pool would. What a listener of `connect` does, it does again on each new connection. */
  misnamedBy: 'caller' | 'listener' | undefined = undefined
  /** In a fleet: when the trust in it began. The server became idle then, or later. */
  leaseFrom: Reading | undefined = undefined
  /** In a fleet: when something was last sent for which the server will be ready again. */
  askedFrom: Reading | undefined = undefined
  /** In a fleet: sends what makes certain that the session is not being ended, in front of a probe. */
  wake: (() => void) | undefined = undefined
  /** In a fleet: it has looked for room. */
  hasLooked: boolean | undefined = undefined
  /** In a fleet: so many proofs in a row came late. */
  lateProofs: number | undefined = undefined
  /** Its server ends it when it has been idle for long: it has been told so. */
  endsItself: boolean | undefined = undefined
  /** Its `idle_session_timeout` as the user has it, if the pool sets another one while it rests. */
  ownTimeout: string | undefined = undefined
  /** Which backend it leads to. Undefined: that was not asked on it, or a pooler is in between. */
  backend: KnownBackend | undefined = undefined
  /** The next statement has the question in front of it which backend answers; see `pid-question.ts`. */
  askPid: ((pid: number) => void) | undefined = undefined
  /** What that question found. Undefined: it has not been asked on it. */
  leadsTo: 'asked' | 'postgres' | 'pooler' | undefined = undefined
  /** Does a caller's statement leave session state (SET, LISTEN, PREPARE, …), which dies with the connection? And has one done so? */
  sessionState: 'none' | 'left' | 'lost' = 'none'
  /** The call that has it, while its answer is awaited and others may share the connection. Set where reads share, see `Sharing`. */
  reader: Reader | undefined = undefined
  /** How the reader's connection is given back, and when its statement was sent, on the monotonic clock. */
  readerRelease: Release | undefined = undefined
  readerSentAt: number | undefined = undefined
  /** The server refused a write of its caller's as read-only: what it is now may have to be asked. */
  refusedWrite: boolean | undefined = undefined
  /** It was shared the last time that it was in use. */
  wasShared: boolean | undefined = undefined
  /** What it owes to those who share it. Undefined: no caller does. */
  ledger: SharedConnection | undefined = undefined
  /** Its entry in the list of idle clients, made once. */
  item: IdleItem | undefined = undefined
  /** How a statement of the pool's own releases it. Undefined: in pg-pool's way, as for every caller. */
  giveBack: Release | undefined = undefined
  /** The pool has closed it, while a former caller may have had a statement on it. */
  isEvicted: boolean | undefined = undefined
  /** Its invocation has ended, and it was never released. */
  takenBack: boolean | undefined = undefined
  /** Made once: each statement goes out by it. */
  oneWrite: OneWrite | undefined = undefined
  /** Fetches in portions, and is to be ended if it fails; see `portions.ts`. */
  unsynced: PeerQuery | undefined = undefined
  readonly sending: Sending = { wasWritable: true, bytesRead: undefined, status: undefined, isRefused: false, isUnreplicated: false }
  /** Called with the statement that is being sent, as wrappers of `query` have made it. Set while such a statement is being sent. */
  sent: ((query: PeerQuery) => void) | undefined = undefined

  constructor(now: Reading, generation: number, maxAgeMillis: number) {
    this.bornAt = now
    this.generation = generation
    this.maxAgeMillis = maxAgeMillis
    this.provenAt = now
    this.idleSince = now
  }

  /** A caller has it, or one statement of `pool.query()`. */
  get inUse(): boolean {
    return this.state === 'in use'
  }

  /** A statement may be under way on it: of the caller who has it, or of one who has released it. */
  get isOccupied(): boolean {
    return this.state === 'in use' || this.state === 'draining'
  }
}

/** Called when a client's connection is lost (not when we close it), and when its socket has closed for whatever reason. */
export interface VitalsListener {
  /** Its socket, or the server, has reported an error. */
  lost(client: PeerClient, error: Error): void
  closed(client: PeerClient): void
}

/**
 * Begins to watch a client, before its first byte. From here on it has an error listener for as long as it exists: an `error` event without
 * one would end the process, and pg-pool removes its own while a client is in use.
 */
export function watch(client: PeerClient, clock: Clock, generation: number, maxAgeMillis: number, listener?: VitalsListener): Vitals {
  const vitals = new Vitals(read(clock), generation, maxAgeMillis)
  Object.defineProperty(client, VITALS, { value: vitals })
  keepListener(client, 'error', (error: Error) => {
    const cause = vitals.lostBy ?? error
    if ('severity' in cause) vitals.endedBy ??= cause
    listener?.lost(client, cause)
  })
  keepListener(client, 'end', () => listener?.closed(client))
  // A client made by a user's factory may have no connection: it is handed out as node-postgres would do.
  const connection = connectionOf(client)
  if (!connection) return vitals
  guardParser(connection, client)
  connection.on('parameterStatus', ({ parameterName, parameterValue }: { parameterName: string; parameterValue: string }) => {
    if (parameterName === 'standard_conforming_strings') vitals.hasStandardStrings = parameterValue === 'on'
  })
  countBytes(connection.stream)
  // Ahead of pg's own listener, which calls the statement's callback, which releases the client and needs to know. A watched client does it
  // in pg's own listener: a second one makes each event cost more.
  if (!isWatched(client)) connection.prependListener('readyForQuery', (message?: ReadyMessage) => noteReady(vitals, clock, message))
  preferP256(connection)
  return vitals
}

/** The socket of Workers has no counter. Anything else without one may be a stream, which would begin to flow. */
function countBytes(stream: EventEmitter): void {
  if ('bytesRead' in stream || 'read' in stream) return
  let bytesRead = 0
  stream.on('data', (chunk: Uint8Array) => {
    bytesRead += chunk.length
  })
  Object.defineProperty(stream, 'bytesRead', { get: () => bytesRead, configurable: true })
}

/** The evidence, as it is now. */
export function beginSending({ sending, status }: Vitals, { writable, bytesRead }: PeerStream): Sending {
  sending.wasWritable = writable
  sending.bytesRead = bytesRead
  sending.status = status
  sending.isUnreplicated = false
  return sending
}

/** The server is ready for the next statement. */
export function noteReady(vitals: Vitals, clock: Clock, message: ReadyMessage | undefined): void {
  vitals.provenAt = read(clock)
  vitals.readySince ??= vitals.provenAt.mono
  vitals.status = message?.status
}

/** Was that the answer to something that was sent before the process stood still? If there are more to come, so may they be. */
export function noteNews(vitals: Vitals, client: PeerClient): void {
  vitals.isOldNews = vitals.wasAskedBefore
  if (vitals.wasAskedBefore) vitals.wasAskedBefore = (vitals.ledger?.length ?? 0) > 1 || sentQueriesOf(client).length > 0
}

/** Is the socket itself known to be dead? Free to ask; a "no" proves nothing. */
export function isBroken(client: PeerClient): boolean {
  if (client._queryable === false || client._ending) return true
  const stream = streamOf(client)
  return stream !== undefined && (stream.destroyed || stream.readableEnded || !stream.writable)
}

/** The record as the gate needs it. */
export function standing(client: PeerClient, vitals: Vitals, now: Reading): IdleConnection {
  return {
    broken: isBroken(client),
    generation: vitals.generation,
    provenAt: vitals.isOldNews ? Number.NEGATIVE_INFINITY : vitals.provenAt.mono,
    silenceMillis: elapsedMillis(vitals.provenAt, now),
    idleMillis: elapsedMillis(vitals.idleSince, now),
    ageMillis: elapsedMillis(vitals.bornAt, now),
    maxAgeMillis: vitals.maxAgeMillis,
  }
}
