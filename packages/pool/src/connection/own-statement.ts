/**
 * The pool's own statements, in front of what its callers send: in the same write, each ended by its own Sync. The server's replies are
 * never shown to pg, which does not know of them, nor to tracing tools.
 */

/** What the server replied: the one row, as text; or an error, after which everything is as it was. */
export interface OwnAnswer {
  readonly row?: readonly (string | null)[]
  readonly error?: Error
}

/** One that has been sent, and whose ReadyForQuery has not come. */
export class OwnStatement {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly #answered: (answer: OwnAnswer) => void
  #answer: OwnAnswer = {}

  /** `answered` is called once, unless the connection is lost first. */
  constructor(text: string, values: readonly (string | null)[], answered: (answer: OwnAnswer) => void = () => {}) {
    this.bytes = encode(text, values)
    this.#answered = answered
  }

  took(row: readonly unknown[]): void {
    this.#answer = { row: row.map((field) => (field === null || field === undefined ? null : String(field))) }
  }

  failed(error: Error): void {
    this.#answer = { error }
  }

  end(): void {
    this.#answered(this.#answer)
  }
}

/** Parse, Bind, Execute and Sync, all unnamed and as text: https://www.postgresql.org/docs/current/protocol-message-formats.html. */
function encode(text: string, values: readonly (string | null)[]): Uint8Array<ArrayBuffer> {
  const parameters = values.map((value) => {
    if (value === null) return int(-1, 4)
    const bytes = utf8(value)
    return join(int(bytes.length, 4), bytes)
  })
  return join(
    message('P', utf8(`\0${text}\0`), int(0, 2)),
    message('B', utf8('\0\0'), int(0, 2), int(values.length, 2), ...parameters, int(0, 2)),
    message('E', utf8('\0'), int(0, 4)),
    message('S'),
  )
}

function message(type: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const body = join(...parts)
  return join(utf8(type), int(body.length + 4, 4), body)
}

/** Big-endian. */
function int(value: number, size: 2 | 4): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setInt32(0, value)
  return bytes.subarray(4 - size)
}

const encoder = new TextEncoder()

function utf8(text: string): Uint8Array {
  return encoder.encode(text)
}

function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}
