/**
 * Statements that are the user's own objects: cursors, row streams, COPY streams, a `new Query()`. pg hands them the connection, and they
 * talk to the server themselves. Their requests and answers are counted here, so that their waits can be bounded, their readers learn of a
 * loss, and a client that is released under them is not waited for forever.
 */

import { type Clock, type Deadline, read, startDeadline } from '@thaw/core'
import { keepContext } from '../driver/async-context.ts'
import {
  activeQueryOf,
  cursorOf,
  type PeerClient,
  type PeerConnection,
  type PeerCursor,
  type PeerQuery,
  queuedQueriesOf,
} from '../driver/peer.ts'
import { hook, type Method, wrap } from './around-method.ts'
import { asInterruption, type Bounds, bound, timeUp } from './interruption.ts'
import { isBroken } from './vitals.ts'

export interface Submitter {
  readonly clock: Clock
  readonly client: PeerClient
  /** Ends the statement: its bound is reached. */
  interrupt(reason: Error): void
}

/** Bounds the statement, and makes sure that everything that waits for it ends with its connection. Called before pg gets it. */
export function converse(query: PeerQuery, bounds: Bounds | undefined, submitter: Submitter): void {
  // A statement cannot be submitted twice. Trying to is answered by the server.
  if (conversations.has(query)) return
  tellInContext(query)
  conversations.set(query, new Conversation(query, bounds, submitter))
}

/**
 * pg has got it, and its time begins: at once, or with that of `others`, once their connection has been probed. The wait for that may take as long
 * once more, but at least `leastMillis`.
 */
export function beginBounds(query: PeerQuery, others: (() => void)[] | undefined, leastMillis: number): void {
  const conversation = conversations.get(query)
  if (!others) return conversation?.begin()
  conversation?.waitForProof(leastMillis)
  others.push(() => conversation?.begin())
}

/**
 * Does the statement wait for its reader or writer, and for nothing from the server? Then it never ends by itself without one. A stream
 * that has a consumer attached is being read.
 */
export function isWaitingForItsReader(client: PeerClient, query: PeerQuery | undefined = activeQueryOf(client)): boolean {
  return query !== undefined && conversations.get(query)?.isLeft === true
}

/**
 * The client has been released. Calls back once if one of its statements waits for a reader, and none comes. Returns the function that
 * stops waiting for that.
 */
export function whenLeft(client: PeerClient, left: () => void): () => void {
  const open = [activeQueryOf(client), ...queuedQueriesOf(client)].map((query) => query && conversations.get(query))
  const released = open.filter((conversation) => conversation !== undefined)
  for (const conversation of released) conversation.release(left)
  return () => {
    for (const conversation of released) conversation.release(undefined)
  }
}

/** The statement's own `query_timeout` is kept here: pg's timer would reject the reader, and leave the statement running. */
export function withoutTimer<Result>(query: PeerQuery & { query_timeout?: unknown }, send: () => Result): Result {
  const { query_timeout } = query
  if (query_timeout === undefined) return send()
  query.query_timeout = undefined
  try {
    return send()
  } finally {
    query.query_timeout = query_timeout
  }
}

const conversations = new WeakMap<PeerQuery, Conversation>()

/** How long a reader may pause after an answer, once the client was released. A reader that continues does so at once. */
const PAUSE_MILLIS = 1000
const LEFT_OPEN =
  'The client was released while this cursor or stream was open and had no reader, so its connection was closed. Read it to its end, or close it, before release().'

class Conversation {
  readonly #query: PeerQuery
  readonly #cursor: PeerCursor | undefined
  readonly #submitter: Submitter
  readonly #boundMillis: number
  /** Of each wait, for one that has several. */
  readonly #timeoutMillis: number
  readonly #lift: (() => void) | undefined
  #begin: (() => void) | undefined
  #hasBegun = false
  readonly #closings = new Set<() => void>()
  #unhook: (() => void) | undefined
  #socket: PeerConnection['stream'] | undefined
  /** Requests that have not been answered. */
  readonly #asked = { describe: 0, execute: 0, ready: 0 }
  /** Nothing is known of one that writes to the socket by itself: it is waited for. */
  #hasAsked = false
  /** COPY FROM STDIN: the server waits for data, until it is told that all has come. */
  #copyIn: 'none' | 'open' | 'final' = 'none'
  #isEnded = false
  /** Given up by its reader before it was sent. */
  #givenUp: Error | undefined
  #wait: Deadline | undefined
  #pause: Deadline | undefined
  #isReleased = false
  #isLeftOpen = false
  #left: (() => void) | undefined

  constructor(query: PeerQuery, bounds: Bounds | undefined, submitter: Submitter) {
    this.#query = query
    this.#cursor = cursorOf(query)
    this.#submitter = submitter
    // Only pg's own Query has this. It is a statement like any other.
    const isStatement = query.requiresPreparation !== undefined
    this.#boundMillis = bounds?.timeoutMillis ?? 0
    this.#timeoutMillis = isStatement ? 0 : this.#boundMillis
    const begins = (begin: () => void) => {
      this.#begin = begin
    }
    const whole = bounds && { ...bounds, timeoutMillis: isStatement ? bounds.timeoutMillis : 0, begins }
    this.#lift = whole && bound(submitter.clock, whole, (reason) => this.#interrupt(reason))
    wrap(query, 'handleError', (inner, error) => this.#fail(inner, error as Error))
    wrap(query, 'handleReadyForQuery', (inner, ...values) => {
      this.#end()
      return inner(...values)
    })
    if (!isStatement) this.#follow()
  }

  waitForProof(leastMillis: number): void {
    const millis = this.#boundMillis
    const waitMillis = Math.max(millis, leastMillis)
    const over = (lateMillis: number) => this.#interrupt(asInterruption(timeUp(millis, waitMillis, lateMillis)))
    if (millis > 0) this.#wait = startDeadline(this.#submitter.clock, waitMillis, over)
  }

  begin(): void {
    if (this.#hasBegun) return
    this.#hasBegun = true
    this.#wait?.cancel()
    this.#wait = undefined
    this.#begin?.()
    this.#await()
  }

  get isLeft(): boolean {
    // The socket of Workers does not count.
    return this.#isUnattended && !(this.#copyIn === 'open' && this.#socket?.writableLength)
  }

  get #isUnattended(): boolean {
    if (!this.#socket || this.#isEnded || this.#isAttended()) return false
    if (this.#copyIn === 'open') return !(this.#query as Attendable).writableEnded
    return this.#isCopyOut || !this.#isAwaiting
  }

  release(left: (() => void) | undefined): void {
    this.#isReleased = true
    this.#isLeftOpen ||= left !== undefined && this.isLeft
    this.#left = left
    this.#considerPause()
  }

  get #isAwaiting(): boolean {
    if (!this.#hasAsked || this.#copyIn === 'final') return true
    const { describe, execute, ready } = this.#asked
    return this.#copyIn === 'none' && describe + execute + ready > 0
  }

  /** It has taken the socket away from pg, and reads by itself. */
  get #isCopyOut(): boolean {
    return !this.#cursor && this.#socket?.listenerCount('data') === 0
  }

  /** Does it have a consumer or a source attached? */
  #isAttended(): boolean {
    const stream = this.#query as Attendable
    if (stream.destroyed || !stream.listenerCount) return false
    const names = this.#copyIn === 'open' ? ['unpipe', 'drain', 'finish'] : ['data', 'readable']
    return names.some((name) => (stream.listenerCount?.(name) ?? 0) > 0)
  }

  #follow(): void {
    const query = this.#query
    wrap(query, 'submit', (inner, connection) => this.#submit(connection as PeerConnection, inner))
    for (const [name, kind] of ANSWERS) {
      wrap(query, name, (inner, ...values) => {
        inner(...values)
        this.#answered(kind)
      })
    }
    wrap(query, 'handleCopyInResponse', (inner, ...values) => {
      if (this.#copyIn === 'none') this.#copyIn = 'open'
      inner(...values)
      this.#answered(undefined)
    })
    wrap(query, '_final', (inner, ...values) => {
      this.#copyIn = 'final'
      this.#await()
      return inner(...values)
    })
    if (this.#cursor) this.#watchClose(this.#cursor)
  }

  #submit(connection: PeerConnection, inner: Method): unknown {
    // A statement that was already given up is not begun: nothing would end it. (One that writes tells the server so by itself.)
    if ((this.#query as Attendable).destroyed && !('_final' in this.#query)) this.#givenUp ??= new Error('Destroyed before it was sent')
    if (this.#givenUp) return this.#givenUp
    this.#socket = connection.stream
    const noData = () => this.#answered('describe')
    const unhooked = REQUESTS.map(([name, kind]) => hook(connection, name, () => this.#asks(kind)))
    connection.on('noData', noData)
    this.#unhook = () => {
      connection.off('noData', noData)
      for (const unhook of unhooked) unhook()
    }
    return inner(connection)
  }

  #asks(kind: keyof Asked | 'fail'): void {
    this.#hasAsked = true
    if (kind === 'fail') this.#copyIn = 'final'
    else this.#asked[kind]++
    this.#await()
  }

  #answered(kind: keyof Asked | undefined): void {
    if (this.#isEnded) return
    if (kind && this.#asked[kind] > 0) this.#asked[kind]--
    this.#wait?.cancel()
    this.#wait = undefined
    this.#await()
  }

  /** Bounds the wait that begins, if one does. The reader's own pauses are not bounded. */
  #await(): void {
    this.#considerPause()
    if (this.#wait || this.#isEnded || !this.#hasBegun || this.#timeoutMillis === 0 || !this.#isAwaiting) return
    const { clock } = this.#submitter
    const { mono } = read(clock)
    const bytesRead = this.#socket?.bytesRead
    this.#wait = startDeadline(clock, this.#timeoutMillis, (lateMillis) => {
      this.#wait = undefined
      // Its rows arrive, or are there: then it is up to the reader.
      if (this.#isCopyOut && (this.#socket?.readableLength || this.#socket?.bytesRead !== bytesRead)) return this.#await()
      this.#interrupt(asInterruption(timeUp(this.#timeoutMillis, clock.mono() - mono, lateMillis)))
    })
  }

  #considerPause(): void {
    this.#pause?.cancel()
    this.#pause = undefined
    if (!this.#left || !this.#isUnattended) return
    this.#pause = startDeadline(this.#submitter.clock, PAUSE_MILLIS, () => {
      // What its writer has left is still being sent.
      if (!this.isLeft) return this.#considerPause()
      this.#isLeftOpen = true
      this.#left?.()
    })
  }

  #interrupt(reason: Error): void {
    if (!this.#isEnded) this.#submitter.interrupt(reason)
  }

  #end(): void {
    this.#isEnded = true
    this.#lift?.()
    this.#wait?.cancel()
    this.#pause?.cancel()
    this.#unhook?.()
    this.#unhook = undefined
  }

  #fail(inner: Method, error: Error): void {
    this.#end()
    if (error === this.#givenUp) return
    const stream = this.#query as Attendable
    // An error without a listener would end the process, for a stream that was given up.
    if (this.#isReleased) stream.on?.('error', () => {})
    const { client } = this.#submitter
    const told = this.#isLeftOpen ? new Error(LEFT_OPEN, { cause: error }) : error
    if (!this.#cursor) return void inner(told, client.connection)
    if (!isBroken(client)) {
      inner(told, client.connection)
      // It has no portal any more, and pg-cursor would wait for another answer if it were closed later.
      if (this.#cursor.connection) client.connection.prependOnceListener('readyForQuery', () => this.#forgetConnection())
      return
    }
    // As one that was never submitted: otherwise it would ask the dead connection to close the portal, and wait for the answer.
    this.#forgetConnection()
    if (this.#cursor.state !== 'done' || this.#cursor._cb) this.#cursor.state = 'initialized'
    inner(told, client.connection)
    this.#cursor._cb = null
    if (!stream.destroyed && stream.listenerCount?.('error')) stream.destroy?.(told)
    for (const closed of this.#closings) closed()
  }

  #forgetConnection(): void {
    if (this.#cursor) this.#cursor.connection = null
  }

  #watchClose(cursor: PeerCursor): void {
    const inner = cursor.close.bind(cursor)
    const close = (callback?: (error?: Error) => void): unknown => {
      if (!callback) {
        const PromiseClass = cursor._Promise ?? Promise
        return new PromiseClass<void>((resolve, reject) => close((error) => (error ? reject(error) : resolve())))
      }
      if (!this.#socket && !this.#isEnded) this.#giveUp(cursor)
      const closed = (error?: Error) => {
        if (this.#closings.delete(closed)) callback(error)
      }
      this.#closings.add(closed)
      inner(closed)
      return undefined
    }
    cursor.close = close
  }

  /** Closed before it was sent: pg-cursor would still open its portal, and nothing would close it. */
  #giveUp(cursor: PeerCursor): void {
    this.#givenUp = new Error('Closed before it was sent')
    cursor.state = 'done'
    for (const [, callback] of cursor._queue.splice(0)) callback(null, [])
  }
}

interface Asked {
  readonly describe: number
  readonly execute: number
  readonly ready: number
}

/** The requests that the server answers, and the names of their methods on pg's connection. */
const REQUESTS = [
  ['describe', 'describe'],
  ['execute', 'execute'],
  ['sync', 'ready'],
  ['query', 'ready'],
  ['sendCopyFail', 'fail'],
] as const

/** The methods of a statement through which pg passes on the answers. It does not pass on NoData, and ReadyForQuery is the end. */
const ANSWERS = [
  ['handleRowDescription', 'describe'],
  ['handlePortalSuspended', 'execute'],
  ['handleCommandComplete', 'execute'],
  ['handleEmptyQuery', 'execute'],
] as const

type Attendable = Partial<Pick<NodeJS.EventEmitter, 'listenerCount' | 'on'>> & {
  readonly destroyed?: boolean
  readonly writableEnded?: boolean
  destroy?(error: Error): void
}

/** The methods through which pg tells it of answers, in the context of the socket. */
const HANDLERS = [
  'handleRowDescription',
  'handleDataRow',
  'handlePortalSuspended',
  'handleCommandComplete',
  'handleEmptyQuery',
  'handleReadyForQuery',
  'handleError',
  'handleCopyInResponse',
  'handleCopyData',
] as const

/** Its events and its callbacks belong to the caller that sends it. */
function tellInContext(query: PeerQuery): void {
  const context = keepContext()
  if (!context) return
  for (const name of HANDLERS) wrap(query, name, (inner, ...values) => context.runInAsyncScope(inner, undefined, ...values))
}
