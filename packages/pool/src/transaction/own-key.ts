/**
 * A batch without a key is put under one of its own, where the table of keys is there: it can be asked after although its whole answer is lost, for no round trip more. No caller else
 * will come with that key, and it carries its time, so that its row is forgotten in eight days.
 */

import type { Clock } from '@thaw/core'
import { isRefusedForGood } from './backend.ts'
import { batchOnWire } from './batch.ts'
import { textOf } from './config.ts'
import type { FlightStatement } from './flight.ts'
import { runKeyed } from './keyed.ts'
import type { TransactionHost } from './transaction.ts'

/** How long batches go without, once the table has refused a row for a reason that will not pass by itself. It may: a migration makes it anew, a right is given. One batch in so long pays for trying. */
export const OWN_KEYS_REST_MILLIS = 60_000

/** A UUIDv7 (RFC 9562): the time in milliseconds, and 74 bits of chance. */
export function keyNow(clock: Clock): string {
  const hex = (value: number, digits: number) => Math.floor(value).toString(16).padStart(digits, '0')
  const chance = (digits: number) => hex(clock.random() * 16 ** digits, digits)
  const time = hex(Math.max(0, clock.wall()), 12)
  return `${time.slice(0, 8)}-${time.slice(8, 12)}-7${chance(3)}-${hex(8 + clock.random() * 4, 1)}${chance(3)}-${chance(12)}`
}

export async function batchUnderOwnKey(
  host: TransactionHost,
  statements: readonly FlightStatement[],
  signal: AbortSignal | undefined,
): Promise<unknown[]> {
  const plain = () => batchOnWire(host, statements, signal)
  const { memory, clock } = host
  const isResting = memory.ownKeysRestUntil !== undefined && clock.mono() < memory.ownKeysRestUntil
  if (!memory.hasKeyTable || isResting || statements.every(({ config }) => host.classify(textOf(config) ?? '').kind === 'read'))
    return plain()
  // Whatever the server has against its row (no right to write it, a standby, another clock) is nothing that the batch has to do with.
  const withoutKey = (error: Error) => {
    if (isRefusedForGood(error)) memory.ownKeysRestUntil = clock.mono() + OWN_KEYS_REST_MILLIS
    return plain()
  }
  return runKeyed(host, { key: keyNow(clock), statements, signal, withoutKey })
}
