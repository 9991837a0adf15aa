/**
 * The ledger: thousands of writes from two runtimes under random faults, then what their callers were told against the table.
 *
 * What breaks: everything, at random: sockets in every way, requests and answers on the way, processes that freeze, backends that are ended,
 * a server that is restarted or crashes. With plain `pg` the user sees errors that do not say whether to write again. With Thaw
 * every error tells the truth.
 *
 * THAW_SEED repeats a schedule. `pnpm bench ledger --minutes N --history FILE` runs as long as one likes, and writes what callers were told in Jepsen's shape.
 */

import { expect, test } from 'vitest'
import { type LedgerResult, runLedger } from './ledger.ts'

const FAULTS = 16
/** Enough to see what plain pg tells. */
const PLAIN_FAULTS = 3
const TIMEOUT_MILLIS = 180_000

const seed = Number(process.env['THAW_SEED'] ?? Math.floor(Math.random() * 1e6))

function print(driver: string, { entries, struck, told }: LedgerResult): void {
  const counts = (of: object) => Object.entries(of).map(([name, count]) => `${count} ${name}`)
  const said = new Map<string, number>()
  for (const { says } of entries) if (says) said.set(shorten(says), (said.get(shorten(says)) ?? 0) + 1)
  const list = [...said].map(([words, count]) => `    ${count} × ${words}`)
  const longest = Math.max(...entries.map(({ millis }) => millis))
  console.log(
    `${driver}, THAW_SEED=${seed}: ${entries.length} calls, the longest ${longest} ms; told: ${counts(told).join(', ')}\n  struck: ${counts(struck).join(', ')}\n${list.join('\n')}`,
  )
}

function shorten(says: string): string {
  return says
    .replace(/127\.0\.0\.1:\d+/g, 'HOST')
    .replace(/\d+/g, 'N')
    .slice(0, 160)
}

test('on plain pg callers are not told what became of their statements', { timeout: TIMEOUT_MILLIS }, async () => {
  const result = await runLedger({ driver: 'pg', seed, faults: PLAIN_FAULTS })
  print('pg', result)
  expect(result.told.untyped ?? 0).toBeGreaterThan(0)
})

test('on Thaw everything that callers are told is true', { timeout: TIMEOUT_MILLIS }, async () => {
  const result = await runLedger({ driver: 'thaw', seed, faults: FAULTS })
  print('thaw', result)
  expect(result.entries.length).toBeGreaterThanOrEqual(1_000)
  expect(result.violations, `THAW_SEED=${seed}`).toEqual([])
})

/** Fewer calls would not meet all of the faults; more take longer than a test may. */
const ONCE_FAULTS = 10

test('transactions, batches, once and keys: while the server stays up no caller is told that it is unknown', {
  timeout: TIMEOUT_MILLIS,
}, async () => {
  const result = await runLedger({ driver: 'thaw', seed, faults: ONCE_FAULTS, once: true, staysUp: true })
  print('thaw, once', result)
  expect(result.violations, `THAW_SEED=${seed}`).toEqual([])
})

test('transactions, batches, once and keys: everything that callers are told is true, though the server crashes', {
  timeout: TIMEOUT_MILLIS,
}, async () => {
  const result = await runLedger({ driver: 'thaw', seed, faults: ONCE_FAULTS, once: true })
  print('thaw, once, with crashes', result)
  expect(result.violations, `THAW_SEED=${seed}`).toEqual([])
})
