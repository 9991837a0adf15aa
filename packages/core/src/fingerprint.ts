/** Are two statements the same, with the same values? A short text of each, to compare them across processes. It is no protection for a secret. */

/** Of everything as it is sent: 1 and '1' are one value, since the server is sent the same. 128 bits: two different statements under one key do not collide. */
export function fingerprintOf(parts: readonly unknown[]): string {
  const text = parts.map((part) => written(part)).join('\n')
  return [0, 1, 2, 3].map((seed) => hash(text, seed)).join('')
}

function written(part: unknown, seen: readonly object[] = []): string {
  if (part === null || part === undefined) return '-'
  if (typeof part !== 'object') return JSON.stringify(String(part))
  if (Array.isArray(part)) return `[${part.map((each) => written(each, seen)).join()}]`
  if (ArrayBuffer.isView(part)) return `bytes:${new Uint8Array(part.buffer, part.byteOffset, part.byteLength).join('.')}`
  const { toPostgres } = part as { toPostgres?: unknown }
  // node-postgres sends what it returns. JSON may see nothing of it: two amounts would be one. One that returns itself is refused by the driver.
  if (typeof toPostgres === 'function' && !seen.includes(part))
    return `sent:${written(
      toPostgres.call(part, (value: unknown) => value),
      [...seen, part],
    )}`
  return JSON.stringify(JSON.stringify(part))
}

/** MurmurHash3's mixing, one word of it. */
function hash(text: string, seed: number): string {
  let state = Math.imul(seed + 1, 0x9e3779b1) ^ text.length
  for (let at = 0; at < text.length; at++) {
    state = Math.imul(state ^ text.charCodeAt(at), 0xcc9e2d51)
    state = Math.imul((state << 15) | (state >>> 17), 0x1b873593)
  }
  state ^= state >>> 16
  state = Math.imul(state, 0x85ebca6b)
  state ^= state >>> 13
  state = Math.imul(state, 0xc2b2ae35)
  return ((state ^ (state >>> 16)) >>> 0).toString(16).padStart(8, '0')
}
