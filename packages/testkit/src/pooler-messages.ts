/** Messages of PostgreSQL's protocol, as a pooler has to know them. */

import type { ErrorResponse } from './ambush.ts'

/** What a server says when it is ready for the next: `I` idle, `T` in a transaction, `E` in a failed one. */
export type ReadyStatus = 'I' | 'T' | 'E'

/** A message with its type's letter: `Z`, `R`, `K`. */
export function message(type: string, body: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(5)
  head.write(type, 'latin1')
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

export function int32(...values: readonly number[]): Buffer {
  const body = Buffer.alloc(values.length * 4)
  for (const [index, value] of values.entries()) body.writeInt32BE(value, index * 4)
  return body
}

export const READY: Buffer = message('Z', Buffer.from('I'))

/** ErrorResponse, with the fields that every pooler sends. */
export function encodeErrorResponse({ severity = 'FATAL', code, message: text }: ErrorResponse): Buffer {
  return message('E', Buffer.from(`S${severity}\0C${code}\0M${text}\0\0`))
}

/** Finds ReadyForQuery in what a server sends, wherever the chunks begin and end. */
export class ReadyFinder {
  #rest: Buffer = Buffer.alloc(0)

  /** The status of the last one in the chunk, if it ends with one. */
  read(chunk: Buffer): ReadyStatus | undefined {
    let bytes = Buffer.concat([this.#rest, chunk])
    let status: ReadyStatus | undefined
    while (bytes.length >= 5) {
      const length = bytes.readInt32BE(1) + 1
      if (bytes.length < length) break
      status = bytes[0] === 0x5a ? (String.fromCharCode(bytes[5] ?? 0) as ReadyStatus) : undefined
      bytes = bytes.subarray(length)
    }
    this.#rest = bytes
    return bytes.length === 0 ? status : undefined
  }
}
