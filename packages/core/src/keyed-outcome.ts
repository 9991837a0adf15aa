/**
 * What became of a write under an idempotency key? The row of the key says it, because it is stored with the write or not at all. Where the answer was lost, a
 * tombstone is put in its place: look-up and fence in one, since a late write finds it there and is refused by the unique key.
 */

/** The row of a key. */
export interface KeyRow {
  /** `done`: its write was stored. `void`: a tombstone; of all attempts that were sent before, none was stored, and none will be. */
  readonly state: 'done' | 'void'
  /** Of the statement and its values. */
  readonly fingerprint: string
  /** Grows with each tombstone: a late take-over of an older one is refused. */
  readonly generation: number
}

/**
 * - `send`: the key is free. The row is inserted with the write.
 * - `take over`: a tombstone has it, of exactly this generation.
 * - `repeated`: the write was stored before; nothing is to be sent.
 * - `mismatch`: the key belongs to another statement.
 */
export type KeyedStep = { readonly step: 'send' | 'repeated' | 'mismatch' } | { readonly step: 'take over'; readonly generation: number }

/** What to do next for a write under a key, by the row that there is. Undefined: there is none. */
export function judgeKey(row: KeyRow | undefined, fingerprint: string): KeyedStep {
  if (!row) return { step: 'send' }
  if (row.fingerprint !== fingerprint) return { step: 'mismatch' }
  return row.state === 'done' ? { step: 'repeated' } : { step: 'take over', generation: row.generation }
}
