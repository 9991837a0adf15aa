/** What a statement writes, or several of them, goes to the socket as one: for each write Node keeps books, and pg makes five to a statement. */

import { nextTick } from '../driver/next-tick.ts'
import {
  activeQueryOf,
  forgetActiveQuery,
  type PeerClient,
  type PeerConnection,
  type PeerQuery,
  type PeerStream,
  queuedQueriesOf,
  sentQueriesOf,
} from '../driver/peer.ts'
import { CUT_OFF } from './client-messages.ts'
import { SYNC } from './extended-query.ts'
import type { Portions } from './portions.ts'
import { leaveUnbound } from './statement-names.ts'

/** Types of messages to the server. https://www.postgresql.org/docs/current/protocol-message-formats.html */
const PARSE = 0x50
const BIND = 0x42
const CLOSE = 0x43
const DESCRIBE = 0x44
const EXECUTE = 0x45
const QUERY = 0x51
const SYNC_TYPE = 0x53
/** Behind the type and the length: the name of the statement that is parsed, which ends with a zero. */
const NAME_AT = 5

/** So often PostgreSQL plans a statement for its parameters before it thinks of a plan for all of them: each gets the plan that it gets by itself. */
const MOST_OF_ONE_PARSE = 5

/** Runs `send`, which makes pg send what is next in its queue. A statement of the user's own kind, such as a COPY stream, may keep the socket that it gets. */
export function inOneWrite(
  client: PeerClient,
  record: Portions & { oneWrite: OneWrite | undefined; reader: unknown },
  send: () => void,
): void {
  const { connection } = client
  const query = queuedQueriesOf(client)[0]
  const isPrepared = query?.requiresPreparation?.()
  // A cursor has values, too.
  if (!query || isPrepared === undefined) return asItsOwn(client, send)
  if (!(isPrepared || record.reader)) return send()
  // pg refuses it without a name. With one it begins to write, throws, and leaves half of a message in the one buffer for all connections.
  if (query.text && typeof query.text !== 'string') query.name = undefined
  if (record.oneWrite?.stream !== connection.stream) record.oneWrite = hearUnbound(connection, new OneWrite(connection.stream))
  const write = record.oneWrite
  try {
    write.during(connection, send)
  } catch (error) {
    // It will be answered: what has thrown is a callback of the user's.
    if (write.isWhole || write.isUnbound) throw error
    cutOff(client, query, error as Error)
  } finally {
    if (write.isUnbound) leave(client, query, write.isWhole)
  }
  if (write.isWhole || write.isUnbound) return
  if (query.rows) record.unsynced = query
  // What a wrapper of the user's puts off is answered behind whatever is sent now.
  record.reader = undefined
}

/**
 * pg tells of a value that cannot be sent when its own `bind` has thrown. What is written does not say so: pg up to 8.8, which is in Neon's driver, writes nothing more, as if a wrapper
 * of the user's had put it off.
 */
function hearUnbound(connection: Binding, write: OneWrite): OneWrite {
  const { bind } = connection
  connection.bind = function (this: Binding, values, more) {
    // A draft of it, in a flight, is not the connection: it writes elsewhere, and tells of it.
    const isOwn = this === connection
    if (isOwn) write.isUnbound = false
    try {
      bind.call(this, values, more)
    } catch (error) {
      if (isOwn) write.isUnbound = true
      throw error
    }
  }
  return write
}

interface Binding extends PeerConnection {
  bind(values: unknown, more: unknown): void
}

/** Its caller has been told. */
function leave(client: PeerClient, query: PeerQuery, isClosed: boolean): void {
  const { connection } = client
  leaveUnbound(connection, query, isClosed)
  if (isClosed) return
  // pg up to 8.8 sends no Sync: all that waits behind it would wait for ever. Where the value has closed the connection as well, none is answered.
  if (connection.stream.writable) connection.stream.write(SYNC)
  else takeBack(client, query)
}

/** pg no longer knows of it. */
function takeBack(client: PeerClient, query: PeerQuery): void {
  const sent = sentQueriesOf(client)
  if (activeQueryOf(client) === query) forgetActiveQuery(client)
  if (sent.includes(query)) sent.splice(sent.indexOf(query), 1)
}

/** What it throws, its caller gets. How much of it was written is not known. */
function asItsOwn(client: PeerClient, send: () => void): void {
  try {
    whileWriting(send)
  } catch (error) {
    forgetActiveQuery(client)
    client.connection.stream.destroy(new Error(CUT_OFF, { cause: error }))
    throw error
  }
}

/** Something in the driver has thrown. The server waits for the rest of it, and would take the next statement for a part of it. */
function cutOff(client: PeerClient, query: PeerQuery, error: Error): void {
  const { connection } = client
  takeBack(client, query)
  connection.stream.destroy(new Error(CUT_OFF, { cause: error }))
  nextTick(() => query.handleError(error, connection))
}

let isAtWork = false

/**
 * Is a statement being made into messages? pg-protocol has one buffer for all connections, and calls code of the user's meanwhile (`toPostgres()` of a value): what that sends must
 * wait until the buffer is free.
 */
export function isWriting(): boolean {
  return isAtWork
}

function whileWriting(work: () => void): void {
  const before = isAtWork
  isAtWork = true
  try {
    work()
  } finally {
    isAtWork = before
  }
}

/** More than this goes out in the pieces that pg made: a copy would cost more than it saves. */
const MOST_COPIED = 65_536

type Written = (error?: Error | null) => void

/** The socket, as far as pg and we use it while a statement is sent. For all else, see its end. */
export class OneWrite {
  protected readonly parts: Uint8Array[] = []
  readonly stream: PeerStream
  #callbacks: Written[] | undefined
  /** The statement is out: who has kept it writes to the socket. */
  #isOver = true
  #isWhole = false
  /** A value could not be sent, and pg has told its caller so. If it is whole, pg has the server close it, too. */
  isUnbound = false

  constructor(stream: PeerStream) {
    this.stream = stream
  }

  /**
   * Runs `work`, which makes pg send on the connection. The socket itself stays as it is: a method put on it for a moment would turn it into an object of
   * the slow kind, for as long as it lives.
   */
  during(connection: PeerConnection, work: () => void): void {
    this.#isOver = false
    this.isUnbound = false
    putStream(connection, this as unknown as PeerStream)
    try {
      whileWriting(work)
    } finally {
      putStream(connection, this.stream)
      this.#isOver = true
      this.#flush()
    }
  }

  /** Has all of the statement been written, to its Sync? It may have put it off, or have written it to the socket itself. */
  get isWhole(): boolean {
    return this.#isWhole
  }

  write(given: Uint8Array | string, encoding?: BufferEncoding | Written, callback?: Written): boolean {
    if (this.#isOver) return this.stream.write(given as string, encoding as BufferEncoding, callback)
    const written = typeof encoding === 'function' ? encoding : callback
    if (written) this.#callbacks = [...(this.#callbacks ?? []), written]
    this.take(typeof given === 'string' ? Buffer.from(given, typeof encoding === 'string' ? encoding : 'utf8') : given)
    return true
  }

  protected take(part: Uint8Array): void {
    this.parts.push(part)
  }

  /** Before it goes out. */
  protected complete(): void {}

  #flush(): void {
    this.complete()
    const { stream } = this
    const parts = this.parts.splice(0)
    this.#isWhole = endsStatement(parts.at(-1))
    const callbacks = this.#callbacks
    this.#callbacks = undefined
    // pg sends nothing to a stream that is not writable, either.
    if (parts.length === 0 || !stream.writable) return
    try {
      send(stream, parts, callbacks && ((error) => callEach(callbacks, error)))
    } catch (error) {
      // A stream of the user's. It is not known what it has sent.
      stream.destroy(error as Error)
    }
  }

  cork(): void {}

  uncork(): void {}

  get writable(): boolean {
    return this.stream.writable
  }

  static {
    // What code of the user's may want of it, such as a wrapper around a method of pg's Connection. At the end of the chain, it costs nothing where it is not needed.
    const others: ProxyHandler<object> = {
      get: (_, key, receiver) => {
        const stream = streamBehind(receiver)
        const member: unknown = stream && Reflect.get(stream, key)
        return typeof member === 'function' ? member.bind(stream) : member
      },
      set: (_, key, value, receiver) => {
        const stream = streamBehind(receiver)
        if (stream) return Reflect.set(stream, key, value)
        // A field: webpack's minifier turns it into an assignment.
        return Reflect.defineProperty(receiver, key, { value, writable: true, enumerable: true, configurable: true })
      },
    }
    Object.setPrototypeOf(OneWrite.prototype, new Proxy({}, others))
  }
}

/** Not by a look-up: it would come here again while there is none. An object of the user's own may inherit from it. */
function streamBehind(write: object): PeerStream | undefined {
  for (let at: object | null = write; at && at !== OneWrite.prototype; at = Object.getPrototypeOf(at)) {
    const own = Object.getOwnPropertyDescriptor(at, 'stream')
    if (own) return own.value as PeerStream | undefined
  }
  return undefined
}

/** Several statements, which may have parts in common. */
export class GatheredWrites extends OneWrite {
  #joins = false
  #hasJoined = false
  #isExecuted = false
  /** The Sync of the last statement, until it is known whether the next one does with it. */
  #sync: Uint8Array | undefined
  /** What made the unnamed statement that the server has then. */
  #parse: Uint8Array | undefined
  #executions = 0
  /** Of the statement that is being written: is there something of it, and its Sync? */
  #hasBegun = false
  #hasSync = false

  /**
   * What is written next is one statement. `joins`: it may be of one run with the one before. The server works on a run in one transaction and answers in
   * one packet, which saves it a third of its work, and parses one text once, which saves as much again.
   */
  begin(joins: boolean): void {
    // pg closes what it could not bind, and the server then sends no CommandComplete.
    this.#joins = joins && this.#isExecuted
    this.#hasJoined = false
    this.#isExecuted = false
    this.#hasBegun = false
    this.#hasSync = false
  }

  override get isWhole(): boolean {
    return this.#hasSync || (this.#hasBegun && endsStatement(this.parts.at(-1)))
  }

  /** Is something of it written? If only its Sync, that is answered, too. */
  get hasBegun(): boolean {
    return this.#hasBegun || this.#hasSync
  }

  /**
   * If it has failed before all of it was written, it gets its Sync here: or else the ReadyForQuery of the next one would be taken for its own. pg up to 8.8, which
   * is in Neon's driver, writes a Parse and nothing else if a value cannot be sent, or nothing at all.
   */
  endStatement(): void {
    if (this.isWhole) return
    if (this.#sync) this.#follow(false)
    this.#sync = SYNC
    this.#isExecuted = false
  }

  /** Is it? Then the one before has no Sync. */
  get hasJoined(): boolean {
    return this.#hasJoined
  }

  protected override take(part: Uint8Array): void {
    const type = part[0]
    if (type === SYNC_TYPE) {
      if (this.#sync && !this.#hasBegun) this.#follow(false)
      this.#sync = part
      this.#hasSync = true
      return
    }
    if (type === PARSE && this.#joins && this.#executions < MOST_OF_ONE_PARSE && isSame(this.#parse, part)) return
    // Of nothing, a wrapper around one of pg's methods wants to be told when it is out. A Close comes where a value cannot be sent, but pg will take the statement for
    // parsed: so it stays.
    if (type === undefined || type === CLOSE) return
    if (this.#sync) this.#follow(type === PARSE || type === BIND)
    if (type === PARSE) this.#parsed(part)
    else if (type === EXECUTE) this.#executed()
    else if (type !== BIND && type !== DESCRIBE) this.#parse = undefined
    this.#hasBegun = true
    this.parts.push(part)
  }

  #parsed(part: Uint8Array): void {
    this.#parse = isAlone(part, PARSE) && part[NAME_AT] === 0 ? part : undefined
    this.#executions = 0
  }

  #executed(): void {
    this.#isExecuted = true
    this.#executions++
  }

  #follow(isExtended: boolean): void {
    this.#hasJoined = this.#joins && isExtended
    if (!this.#hasJoined && this.#sync) this.parts.push(this.#sync)
    this.#sync = undefined
  }

  protected override complete(): void {
    if (this.#sync) this.parts.push(this.#sync)
  }
}

function send(stream: PeerStream, parts: readonly Uint8Array[], written: Written | undefined): void {
  let length = 0
  for (const part of parts) length += part.length
  if (length <= MOST_COPIED) return void stream.write(parts.length === 1 ? parts[0] : Buffer.concat(parts, length), written)
  stream.cork?.()
  for (const [index, part] of parts.entries()) stream.write(part, index === parts.length - 1 ? written : undefined)
  stream.uncork?.()
}

function callEach(callbacks: readonly Written[], error?: Error | null): void {
  for (const callback of callbacks) callback(error)
}

/** A class of the user's, or a method of theirs, may have made it a getter: then each message is written by itself. */
function putStream(connection: PeerConnection, stream: PeerStream): void {
  try {
    ;(connection as { stream: PeerStream }).stream = stream
  } catch {
    // It is the socket, as it was.
  }
}

/** Is its last message one that is answered with a ReadyForQuery? A wrapper may write several messages at once. */
function endsStatement(part: Uint8Array | undefined): boolean {
  let type = part?.[0]
  if (type === SYNC_TYPE || type === QUERY) return true
  for (let at = 0; part && at + 5 <= part.length; at += 1 + new DataView(part.buffer, part.byteOffset + at).getUint32(1)) type = part[at]
  return type === SYNC_TYPE || type === QUERY
}

/** Is it one message of that type? A wrapper may write several at once. */
function isAlone(part: Uint8Array | undefined, type: number): boolean {
  return part?.[0] === type && new DataView(part.buffer, part.byteOffset).getUint32(1) === part.length - 1
}

function isSame(one: Uint8Array | undefined, other: Uint8Array): boolean {
  if (one?.length !== other.length) return false
  for (let at = 0; at < other.length; at++) if (one[at] !== other[at]) return false
  return true
}
