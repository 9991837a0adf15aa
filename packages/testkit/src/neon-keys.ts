/**
 * The process ids and secret keys that Neon's proxy invents for its clients, in place of PostgreSQL's: `get_key` in proxy/src/cancellation.rs of
 * neondatabase/neon. It finds the real ones again when a client cancels.
 */

import { randomBytes } from 'node:crypto'
import { Transform } from 'node:stream'

const KEY_BYTES = 8
/** https://www.postgresql.org/docs/current/protocol-message-formats.html, BackendKeyData and CancelRequest. */
const BACKEND_KEY_DATA = 'K'.charCodeAt(0)
const CANCEL_REQUEST = Buffer.from([0, 0, 0, 16, 4, 210, 22, 46])

export class NeonKeys {
  readonly #real = new Map<string, Buffer>()

  /** What the server says: its BackendKeyData is replaced. */
  toClient(): Transform {
    let held = Buffer.alloc(0)
    let isOver = false
    const take = (): Buffer[] => {
      const messages: Buffer[] = []
      while (!isOver && held.length >= 5) {
        const end = 1 + held.readInt32BE(1)
        if (held.length < end) break
        messages.push(this.#disguise(held.subarray(0, end)))
        isOver = held[0] === BACKEND_KEY_DATA
        held = held.subarray(end)
      }
      if (isOver) messages.push(held)
      return messages
    }
    return new Transform({
      transform(chunk: Buffer, _encoding, done) {
        if (isOver) return done(null, chunk)
        held = Buffer.concat([held, chunk])
        done(null, Buffer.concat(take()))
      },
      flush: (done) => done(null, isOver ? undefined : held),
    })
  }

  /** What a client says: the key in its CancelRequest, which is all that such a connection carries. */
  toServer(): Transform {
    let isFirst = true
    return new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        const isCancel = isFirst && chunk.length === CANCEL_REQUEST.length + KEY_BYTES && chunk.indexOf(CANCEL_REQUEST) === 0
        isFirst = false
        const real = isCancel ? this.#real.get(chunk.toString('hex', CANCEL_REQUEST.length)) : undefined
        done(null, real ? Buffer.concat([CANCEL_REQUEST, real]) : chunk)
      },
    })
  }

  #disguise(message: Buffer): Buffer {
    const head = message.length - KEY_BYTES
    if (message[0] !== BACKEND_KEY_DATA || head !== 5) return message
    const invented = randomBytes(KEY_BYTES)
    this.#real.set(invented.toString('hex'), Buffer.from(message.subarray(head)))
    return Buffer.concat([message.subarray(0, head), invented])
  }
}
