/**
 * How a flight is found again where the process ID that its login told is not its backend's: behind a pooler. It takes an advisory lock of its transaction under a number of its own, in its first
 * statement. The server shows who holds which, so nothing has to be answered, and no message more is sent.
 */

import { type Clock, codeOf } from '@thaw/core'
import type { Memory } from '../connection/pool-context.ts'

/** Two integers, for `pg_try_advisory_xact_lock_shared()`: 62 bits of chance. */
export type FlightTag = readonly [string, string]

/** Its expression: never null, and evaluated before its statement waits for a row. Shared, and only tried: it never waits. */
export function tagging(first: number): string {
  return `pg_try_advisory_xact_lock_shared($${first}::int, $${first + 1}::int) IS NOT NULL`
}

export const BY_TAG = `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND classid = $1::oid AND objid = $2::oid
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()`

/** PostgreSQL's undefined_function, insufficient_privilege, feature_not_supported: of another database. */
const NO_LOCKS: ReadonlySet<string | undefined> = new Set(['42883', '42501', '0A000'])

/** Of databases without such locks. */
const without = new WeakSet<Memory>()

/** Undefined where the login tells the backend, or there are no such locks. */
export function tagOf(memory: Memory, clock: Clock): FlightTag | undefined {
  if (memory.isDirect || without.has(memory)) return undefined
  const half = () => String(Math.floor(clock.random() * 2 ** 31))
  return [half(), half()]
}

/** Is that why the first statement was refused? Then flights of this pool go without from now on. */
export function isTagRefused(memory: Memory, tag: FlightTag | undefined, code: string | undefined): boolean {
  if (!tag || !NO_LOCKS.has(code)) return false
  without.add(memory)
  return true
}

/** The server has refused the question that takes the tag. If not for that, it tells nothing of its transactions. */
export function noteRefused(host: { readonly memory: Memory; tells: boolean | undefined }, tag: FlightTag | undefined, error: Error): void {
  if (!isTagRefused(host.memory, tag, codeOf(error))) host.tells = false
}
