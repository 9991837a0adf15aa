/** Statements of the pool's own as bytes, by the extended protocol (https://www.postgresql.org/docs/current/protocol-message-formats.html): pg does not see them. */

/** Parse, Bind and Execute, all unnamed and as text. */
export function parseBindExecute(text: string, values: readonly (string | null)[]): Uint8Array<ArrayBuffer> {
  const parameters = values.map((value) => {
    if (value === null) return int(-1, 4)
    const bytes = utf8(value)
    return join(int(bytes.length, 4), bytes)
  })
  return join(
    message('P', utf8(`\0${text}\0`), int(0, 2)),
    message('B', utf8('\0\0'), int(0, 2), int(values.length, 2), ...parameters, int(0, 2)),
    message('E', utf8('\0'), int(0, 4)),
  )
}

/**
 * A bare protocol Sync. The server answers it with ReadyForQuery and nothing else: five bytes out, six back, no SQL, no
 * trace in pg_stat_activity. It is valid in a failed transaction and passes through PgBouncer
 * (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY).
 */
export const SYNC: Uint8Array = Uint8Array.of(0x53, 0, 0, 0, 4)

/** Never answered, and without effect on a server that has nothing to send. */
export const FLUSH: Uint8Array = Uint8Array.of(0x48, 0, 0, 0, 4)

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

export function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}
