/** What is applied once, in a model of client, wire and server under random schedules; and that it finds each rule that is left out. THAW_RUNS=100000 runs as many. */

import { expect, test } from 'vitest'
import { type OnceFaults, runSchedule } from '../test/once-model.ts'
import { runs } from '../test/runs.ts'

const { numRuns, seed = 1 } = runs(10_000)
/** Many more than it takes to find the rarest. */
const MOST_TO_FIND = 40_000

test(`${numRuns} schedules: nothing is written twice, and what callers are told is true`, { timeout: 20_000 + numRuns }, () => {
  for (let schedule = seed; schedule < seed + numRuns; schedule++)
    expect(runSchedule(schedule), `THAW_SEED=${schedule} THAW_RUNS=1`).toEqual([])
})

const PLANTED: readonly [keyof OnceFaults, string, OnceFaults?][] = [
  ['noFence', 'unknown'],
  ['impatient', 'twice|not executed', { noFence: true, impatient: true }],
  ['noIncarnation', 'missing'],
  ['resetIsCrash', 'times|not executed'],
  ['trustsCommitted', 'missing'],
  ['noTimeline', 'times|not executed'],
  ['trustsStandby', 'times|not executed|missing'],
  ['retriesBlindly', 'times'],
  ['noTombstone', 'not executed'],
  ['noUniqueKey', 'times'],
  ['noGeneration', 'not executed'],
]

test.each(PLANTED)('finds %s', { timeout: 60_000 }, (name, expected, faults = { [name]: true }) => {
  const found = find(faults, new RegExp(expected.replace('twice', 'times')))
  expect(found).toBeDefined()
  console.log(`${name}: found after ${found?.after} schedules: ${found?.wrong}`)
})

function find(faults: OnceFaults, expected: RegExp): { readonly after: number; readonly wrong: string } | undefined {
  for (let after = 1; after <= MOST_TO_FIND; after++) {
    const wrong = runSchedule(after, faults).find((line) => expected.test(line))
    if (wrong) return { after, wrong }
  }
  return undefined
}
