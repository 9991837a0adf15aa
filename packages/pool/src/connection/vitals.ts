/** What is known about one client: read at the door, written when the server speaks. */

import type { EventEmitter } from 'node:events'
import { type Clock, elapsedMillis, type IdleConnection, type Reading, read } from '@thaw/core'
import type { IdleItem, PeerClient, PeerQuery, Release } from '../driver/peer.ts'
import type { ConnectionState } from './connection-state.ts'
import { guardParser } from './parser-guard.ts'
import { preferP256 } from './tls.ts'

/** The server's word in each ReadyForQuery: idle, in a transaction, in a failed one. Undefined before the first. */
export type TransactionStatus = 'I' | 'T' | 'E' | undefined

/** ReadyForQuery, as pg passes it on. */
export interface ReadyMessage {
  readonly status?: TransactionStatus
}

/** Has a class of ours, which notes by itself what the server says. */
export const WATCHED: unique symbol = Symbol.for('thaw.pg.watched')

export function isWatched(client: object): boolean {
  return WATCHED in client
}

/** What was so when the statement that runs now was handed to the socket: the evidence, if its connection is lost. */
export interface Sending {
  /** pg sends nothing, without a word, to a stream that is not writable. */
  wasWritable: boolean
  /** The socket's counter. Undefined where the socket has none. */
  bytesRead: number | undefined
  status: TransactionStatus
  /** The socket was in error when the write returned: the kernel took none of the bytes. */
  isRefused: boolean
  /** The server has warned that it committed without its replicas. */
  isUnreplicated: boolean
}

/** Where a client has its record: a look-up in a WeakMap takes ten times as long, and each loan takes six of them. */
export const VITALS: unique symbol = Symbol('thaw.pg.vitals')

/** An answer that the server owes, ahead of the answer to any statement. */
export interface Owed {
  /** `piggybacked`: ParseComplete, in front of a statement's own answer. `probe`: ReadyForQuery, to a Sync of ours. */
  readonly to: 'piggybacked' | 'probe'
  /** The answer has come. */
  answered(): void
}

/** One client's record, for as long as the client exists. */
export interface Vitals {
  /** Whose record it is: our own Client in a pool has had another one before. */
  readonly owner: object | undefined
  readonly bornAt: Reading
  readonly generation: number
  readonly maxAgeMillis: number
  /** When the server first said that it is ready, on the monotonic clock: its backend is older. */
  readySince: number | undefined
  /** When the server last said that it is ready. */
  provenAt: Reading
  /** When a caller acquired it, on the monotonic clock. 0: nobody wanted to know when. Undefined: nobody has it. */
  lentAt: number | undefined
  /** When it was last given back. */
  idleSince: Reading
  status: TransactionStatus
  /** Changed by `enter` alone. */
  state: ConnectionState
  /** A caller has it, or one statement of `pool.query()`. */
  readonly lent: boolean
  /** In use by a `pool.query()`, which hears of a loss first and may send its statement again. */
  isPoolQuery: boolean
  /** When the probe that is on its way was sent, on the monotonic clock. Undefined: none is. */
  askedAt: number | undefined
  /** Answered a probe since it was last lent. */
  probed: boolean
  /** Lent unproven: what is sent next must have the proof in front of it. */
  piggybacks: boolean
  /** What the server answers next, before any statement. Undefined: nothing of ours is on its way. */
  owed: Owed | undefined
  /** Has a caller left state in the session (SET, LISTEN, PREPARE, …), which dies with it? And has it? */
  sessionState: 'none' | 'left' | 'lost'
  /** Its place in the list of idle clients, made once. */
  item?: IdleItem
  /** How a statement of the pool's own gives it back. Undefined: by pg-pool's ceremony, as everybody. */
  giveBack?: Release
  /** The pool has closed it, while a former caller may have had a statement on it. */
  isEvicted?: boolean
  /** Its invocation has ended, and it was never given back. */
  takenBack?: boolean
  readonly sending: Sending
  /** Is told of the statement that is being sent, as wrappers of `query` have made it. Set while one is of whom that matters. */
  sent: ((query: PeerQuery) => void) | undefined
}

/** Told when a client's connection is lost (not by our own closing), and when its socket has closed for whatever reason. */
export interface VitalsListener {
  /** Its socket, or the server, has reported an error. */
  lost(client: PeerClient, error: Error): void
  closed(client: PeerClient): void
}

/**
 * Begins to watch a client, before its first byte. From here on it has an error listener until it is garbage: an `error`
 * event without one would end the process, and pg-pool takes its own off while a client is lent.
 */
export function watch(client: PeerClient, clock: Clock, generation: number, maxAgeMillis: number, listener?: VitalsListener): Vitals {
  const now = read(clock)
  const vitals: Vitals = {
    owner: listener,
    bornAt: now,
    generation,
    maxAgeMillis,
    readySince: undefined,
    provenAt: now,
    lentAt: undefined,
    idleSince: now,
    status: undefined,
    state: 'connecting',
    get lent() {
      return this.state === 'in use'
    },
    isPoolQuery: false,
    askedAt: undefined,
    probed: false,
    piggybacks: false,
    owed: undefined,
    sessionState: 'none',
    sent: undefined,
    sending: { wasWritable: true, bytesRead: undefined, status: undefined, isRefused: false, isUnreplicated: false },
  }
  Object.defineProperty(client, VITALS, { value: vitals, configurable: true })
  keepListening(client, 'error', (error) => listener?.lost(client, error))
  keepListening(client, 'end', () => listener?.closed(client))
  // A client made by a user's factory may have no connection: it is lent as node-postgres would lend it.
  if (!client.connection) return vitals
  guardParser(client.connection)
  countBytes(client.connection.stream)
  // In front of pg's own listener, which calls the statement's callback, which gives the client back and wants to know. A watched client
  // does it in pg's own listener: a second one makes each event cost more.
  if (!isWatched(client)) client.connection.prependListener('readyForQuery', (message?: ReadyMessage) => noteReady(vitals, clock, message))
  preferP256(client.connection)
  return vitals
}

/** A holder that cleans up takes all listeners off. pg-pool puts its own back when a client is released; ours is put back at once. */
function keepListening(client: PeerClient, name: 'error' | 'end', listener: (error: Error) => void): void {
  client.on(name, listener)
  const { removeAllListeners } = client
  client.removeAllListeners = (...names: [event?: string | symbol]) => {
    const result = removeAllListeners.apply(client, names)
    if (!client.listeners(name).includes(listener)) client.on(name, listener)
    return result
  }
}

/** The socket of Workers has no counter. Whatever else has none may be a stream, which would begin to flow. */
function countBytes(stream: EventEmitter): void {
  if ('bytesRead' in stream || 'read' in stream) return
  let bytesRead = 0
  stream.on('data', (chunk: Uint8Array) => {
    bytesRead += chunk.length
  })
  Object.defineProperty(stream, 'bytesRead', { get: () => bytesRead, configurable: true })
}

/** The server is ready for the next statement. */
export function noteReady(vitals: Vitals, clock: Clock, message: ReadyMessage | undefined): void {
  vitals.provenAt = read(clock)
  vitals.readySince ??= vitals.provenAt.mono
  vitals.status = message?.status
}

/** Does the socket itself say that it is dead? Free to ask; a "no" proves nothing. */
export function isBroken(client: PeerClient): boolean {
  if (client._queryable === false || client._ending) return true
  const stream = client.connection?.stream
  return stream !== undefined && (stream.destroyed || stream.readableEnded || !stream.writable)
}

/** The record as the gate wants it. */
export function standing(client: PeerClient, vitals: Vitals, now: Reading): IdleConnection {
  return {
    broken: isBroken(client),
    generation: vitals.generation,
    provenAt: vitals.provenAt.mono,
    silenceMillis: elapsedMillis(vitals.provenAt, now),
    idleMillis: elapsedMillis(vitals.idleSince, now),
    ageMillis: elapsedMillis(vitals.bornAt, now),
    maxAgeMillis: vitals.maxAgeMillis,
  }
}
