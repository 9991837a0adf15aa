/** What several statements write goes to the socket as one: for each write Node keeps books, and pg makes five to a statement. */

import type { PeerConnection, PeerStream } from '../driver/peer.ts'
import { join } from './extended-query.ts'

/**
 * Runs `work`, which makes pg send on the connection. The socket itself stays as it is: a method put on it for a moment would turn it into an object of
 * the slow kind, for as long as it lives.
 */
export function inOneWrite(connection: PeerConnection, work: () => void): void {
  const holder = connection as { stream: PeerStream }
  const { stream } = connection
  const gathered = new GatheredWrites(stream)
  holder.stream = gathered as unknown as PeerStream
  try {
    work()
  } finally {
    holder.stream = stream
    const { parts } = gathered
    if (parts.length > 0) stream.write(join(...parts))
  }
}

/** The socket, as far as pg and we use it while statements are sent. */
class GatheredWrites {
  readonly parts: Uint8Array[] = []
  readonly #stream: PeerStream

  constructor(stream: PeerStream) {
    this.#stream = stream
  }

  write(part: Uint8Array): boolean {
    this.parts.push(part)
    return true
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
