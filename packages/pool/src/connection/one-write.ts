/** What several statements write goes to the socket as one: for each write Node keeps books, and pg makes five to a statement. */

import type { PeerConnection, PeerStream } from '../driver/peer.ts'
import { join, SYNC } from './extended-query.ts'

/** Types of messages to the server. https://www.postgresql.org/docs/current/protocol-message-formats.html */
const PARSE = 0x50
const BIND = 0x42
const DESCRIBE = 0x44
const EXECUTE = 0x45
const SYNC_TYPE = 0x53
/** Behind the type and the length: the name of the statement that is parsed, which ends with a zero. */
const NAME_AT = 5

/** So often PostgreSQL plans a statement for its parameters before it thinks of a plan for all of them: each gets the plan that it gets by itself. */
const MOST_OF_ONE_PARSE = 5

/**
 * Runs `work`, which makes pg send on the connection. The socket itself stays as it is: a method put on it for a moment would turn it into an object of
 * the slow kind, for as long as it lives.
 */
export function inOneWrite(connection: PeerConnection, work: (writes: GatheredWrites) => void): void {
  const holder = connection as { stream: PeerStream }
  const { stream } = connection
  const gathered = new GatheredWrites(stream)
  holder.stream = gathered as unknown as PeerStream
  try {
    work(gathered)
  } finally {
    holder.stream = stream
    const parts = gathered.end()
    if (parts.length > 0) stream.write(join(...parts))
  }
}

/** The socket, as far as pg and we use it while statements are sent. */
export class GatheredWrites {
  readonly #parts: Uint8Array[] = []
  readonly #stream: PeerStream
  #joins = false
  #hasJoined = false
  #isExecuted = false
  /** The Sync of the last statement, until it is known whether the next one does with it. */
  #sync: Uint8Array | undefined
  /** What made the unnamed statement that the server has then. */
  #parse: Uint8Array | undefined
  #executions = 0

  constructor(stream: PeerStream) {
    this.#stream = stream
  }

  /**
   * What is written next is one statement. `joins`: it may be of one run with the one before. The server works on a run in one transaction and answers in
   * one packet, which saves it a third of its work, and parses one text once, which saves as much again.
   */
  begin(joins: boolean): void {
    // pg closes what it could not bind, and the server then sends no CommandComplete.
    this.#joins = joins && this.#isExecuted
    this.#hasJoined = false
    this.#isExecuted = false
  }

  /** It failed before pg had written all of it. */
  breakOff(): void {
    this.#sync = SYNC
    this.#isExecuted = false
  }

  /** Is it? Then the one before has no Sync. */
  get hasJoined(): boolean {
    return this.#hasJoined
  }

  write(part: Uint8Array): boolean {
    const type = part[0]
    if (type === SYNC_TYPE) {
      this.#sync = part
      return true
    }
    if (type === PARSE && this.#joins && this.#executions < MOST_OF_ONE_PARSE && isSame(this.#parse, part)) return true
    if (this.#sync) this.#follow(type === PARSE || type === BIND)
    if (type === PARSE) this.#parsed(part)
    else if (type === EXECUTE) this.#executed()
    else if (type !== BIND && type !== DESCRIBE) this.#parse = undefined
    this.#parts.push(part)
    return true
  }

  #parsed(part: Uint8Array): void {
    this.#parse = part[NAME_AT] === 0 ? part : undefined
    this.#executions = 0
  }

  #executed(): void {
    this.#isExecuted = true
    this.#executions++
  }

  #follow(isExtended: boolean): void {
    this.#hasJoined = this.#joins && isExtended
    if (!this.#hasJoined && this.#sync) this.#parts.push(this.#sync)
    this.#sync = undefined
  }

  /** All that is to go out. */
  end(): readonly Uint8Array[] {
    if (this.#sync) this.#parts.push(this.#sync)
    return this.#parts
  }

  cork(): void {}

  uncork(): void {}

  get writable(): boolean {
    return this.#stream.writable
  }

  get writableLength(): number {
    return this.#stream.writableLength
  }

  get destroyed(): boolean {
    return this.#stream.destroyed
  }

  get readableEnded(): boolean {
    return this.#stream.readableEnded
  }

  get errored(): Error | null | undefined {
    return this.#stream.errored
  }

  get bytesRead(): number | undefined {
    return this.#stream.bytesRead
  }

  destroy(error?: Error): void {
    this.#stream.destroy(error)
  }
}

function isSame(one: Uint8Array | undefined, other: Uint8Array): boolean {
  if (one?.length !== other.length) return false
  for (let at = 0; at < other.length; at++) if (one[at] !== other[at]) return false
  return true
}
