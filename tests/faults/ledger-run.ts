/**
 * The ledger for as long as one likes: rounds of the same as `ledger.test.ts`, with more faults. Prints a line of JSON for each round, and one for all of them. For `pnpm bench ledger`.
 *
 *     node tests/faults/ledger-run.ts --minutes 15 [--history FILE] [--seed N]
 */

import { parseArgs } from 'node:util'
import { type LedgerOptions, runLedger, tally } from './ledger.ts'
import type { LedgerEntry } from './ledger-child.ts'
import { writeHistory } from './ledger-history.ts'

/** About a minute. */
const FAULTS = 48
const ROUNDS: readonly Pick<LedgerOptions, 'once' | 'staysUp'>[] = [{ once: true, staysUp: true }, { once: true }, {}]

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '15' }, history: { type: 'string' }, seed: { type: 'string' } },
})
const minutes = Number(values.minutes)
const firstSeed = Number(values.seed ?? Math.floor(Math.random() * 1e6))
if (!(minutes > 0)) throw new Error(`--minutes is "${values.minutes}", but must be a number above 0`)

const begun = performance.now()
const entries: LedgerEntry[] = []
const stored: string[] = []
const violations: string[] = []
const struck: Record<string, number> = {}
let round = 0
do {
  const seed = firstSeed + round * 1_000_000
  const result = await runLedger({ driver: 'thaw', seed, faults: FAULTS, ...ROUNDS[round % ROUNDS.length] })
  round++
  // Each round has a table of its own, and begins to count anew.
  const rename = (token: string) => `${round}-${token}`
  entries.push(...result.entries.map((entry) => ({ ...entry, token: rename(entry.token) })))
  stored.push(...result.stored.map(rename))
  violations.push(...result.violations.map((line) => `THAW_SEED=${seed}: ${line}`))
  for (const [name, count] of Object.entries(result.struck)) struck[name] = (struck[name] ?? 0) + count
  const seconds = Math.round((performance.now() - begun) / 1000)
  console.log(JSON.stringify({ round, seconds, calls: entries.length, violations: violations.length }))
} while (performance.now() - begun < minutes * 60_000)

if (values.history !== undefined) await writeHistory(values.history, entries, stored)
const kinds = [...new Set(entries.map(({ kind }) => kind))].sort()
const told = Object.fromEntries(kinds.map((kind) => [kind, tally(entries.filter((entry) => entry.kind === kind))]))
console.log(JSON.stringify({ seed: firstSeed, rounds: round, calls: entries.length, told, struck, violations }))
