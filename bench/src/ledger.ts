/** The ledger test of random faults, for a quarter of an hour instead of half a minute: what callers are told, against the table. */

import { listFailures, runTests } from './long-tests.ts'
import type { Scenario } from './scenario.ts'

export const ledger: Scenario = {
  name: 'ledger',
  title: 'Writes of two runtimes under random faults',
  async run({ quick, progress }) {
    progress(quick ? 'half a minute' : 'a quarter of an hour')
    const run = await runTests('tests', ['faults/ledger.test.ts'], quick ? {} : { THAW_LEDGER: 'long' })
    return {
      rows: [
        {
          measured: `nothing doubled, nothing told that is not so (${run.failed} failed, ${run.seconds.toFixed(0)} s)`,
          unit: 'tests',
          thaw: { value: run.passed },
          target: { says: 'all', met: run.failed === 0 && run.skipped === 0 && run.passed > 0 },
        },
      ],
      notes: listFailures(run),
    }
  },
}
