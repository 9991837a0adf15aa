/** The bytes of the backend's protocol: https://www.postgresql.org/docs/current/protocol-message-formats.html */

/** What a session is in, as ReadyForQuery says it. */
export type SessionStatus = 'I' | 'T' | 'E'

/** One message of the client, without its length. */
export interface Request {
  /** Its type byte. Empty: one of those before the session, which have none. */
  readonly type: string
  readonly body: Buffer
}

const LENGTH_BYTES = 4
const TEXT_OID = 25

function message(type: string, ...parts: readonly Buffer[]): Buffer {
  const body = parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts)
  const whole = Buffer.allocUnsafe(1 + LENGTH_BYTES + body.length)
  whole.write(type, 0, 'latin1')
  whole.writeInt32BE(LENGTH_BYTES + body.length, 1)
  body.copy(whole, 1 + LENGTH_BYTES)
  return whole
}

const int16 = (value: number): Buffer => Buffer.from([(value >> 8) & 255, value & 255])
const int32 = (value: number): Buffer => Buffer.from([(value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255])
const text = (value: string): Buffer => Buffer.from(`${value}\0`)

/** A column of an answer: its name, and the OID of its type where that is not `text`. */
export type ScriptedColumn = string | readonly [name: string, oid: number]

export const AUTHENTICATION_OK: Buffer = message('R', int32(0))
export const PARSE_COMPLETE: Buffer = message('1')
export const BIND_COMPLETE: Buffer = message('2')
export const CLOSE_COMPLETE: Buffer = message('3')
export const NO_DATA: Buffer = message('n')
export const PORTAL_SUSPENDED: Buffer = message('s')
export const EMPTY_QUERY: Buffer = message('I')
const READY: Readonly<Record<SessionStatus, Buffer>> = {
  I: message('Z', Buffer.from('I')),
  T: message('Z', Buffer.from('T')),
  E: message('Z', Buffer.from('E')),
}

export const readyForQuery = (status: SessionStatus): Buffer => READY[status]
export const backendKeyData = (pid: number, secret: number): Buffer => message('K', int32(pid), int32(secret))
export const commandComplete = (tag: string): Buffer => message('C', text(tag))

export function rowDescription(columns: readonly ScriptedColumn[]): Buffer {
  const fields = columns.map((column) => {
    const [name, oid] = typeof column === 'string' ? ([column, TEXT_OID] as const) : column
    return Buffer.concat([text(name), int32(0), int16(0), int32(oid), int16(-1), int32(-1), int16(0)])
  })
  return message('T', int16(columns.length), ...fields)
}

export function dataRow(values: readonly (string | null)[]): Buffer {
  return message(
    'D',
    int16(values.length),
    ...values.flatMap((value) => {
      if (value === null) return int32(-1)
      const bytes = Buffer.from(value)
      return [int32(bytes.length), bytes]
    }),
  )
}

export function errorResponse(code: string, words: string, severity: 'ERROR' | 'FATAL' = 'ERROR'): Buffer {
  return message('E', text(`S${severity}`), text(`V${severity}`), text(`C${code}`), text(`M${words}`), Buffer.of(0))
}

/** Cuts a stream of bytes into messages, wherever they were cut on their way. */
export class RequestReader {
  #rest: Buffer = Buffer.alloc(0)
  #hasBegun = false

  /** The first message has no type. After a request for TLS, which is not a session yet, call `begin(false)`. */
  begin(hasBegun: boolean): void {
    this.#hasBegun = hasBegun
  }

  *read(chunk: Buffer): Generator<Request> {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    for (;;) {
      const head = this.#hasBegun ? 1 : 0
      if (this.#rest.length < head + LENGTH_BYTES) return
      const end = head + this.#rest.readInt32BE(head)
      if (this.#rest.length < end) return
      const request = { type: this.#rest.toString('latin1', 0, head), body: this.#rest.subarray(head + LENGTH_BYTES, end) }
      this.#rest = this.#rest.subarray(end)
      this.#hasBegun = true
      yield request
    }
  }
}

/** Reads the parts of a message, from its front. */
export class BodyReader {
  readonly #body: Buffer
  #at = 0

  constructor(body: Buffer) {
    this.#body = body
  }

  text(): string {
    const end = this.#body.indexOf(0, this.#at)
    const value = this.#body.toString('utf8', this.#at, end)
    this.#at = end + 1
    return value
  }

  int16(): number {
    this.#at += 2
    return this.#body.readInt16BE(this.#at - 2)
  }

  int32(): number {
    this.#at += 4
    return this.#body.readInt32BE(this.#at - 4)
  }

  /** Of so many bytes; -1 is NULL. */
  value(): string | undefined {
    const length = this.int32()
    if (length < 0) return undefined
    this.#at += length
    return this.#body.toString('utf8', this.#at - length, this.#at)
  }
}
