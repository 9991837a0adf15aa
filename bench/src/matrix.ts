/** Every combination of the fault matrix, of which `pnpm test` runs a pairwise set. */

import { listFailures, runTests } from './long-tests.ts'
import type { Scenario } from './scenario.ts'

export const matrix: Scenario = {
  name: 'matrix',
  title: 'Fault matrix, all of it',
  async run({ quick, progress }) {
    progress('running')
    const run = await runTests('tests', ['faults/'], quick ? {} : { THAW_MATRIX: 'full' })
    return {
      rows: [
        {
          measured: `cells that hold (${run.failed} failed, ${run.skipped} skipped, ${run.seconds.toFixed(0)} s${quick ? ', pairwise set' : ''})`,
          unit: 'tests',
          thaw: { value: run.passed },
          target: { says: 'all', met: run.failed === 0 && run.skipped === 0 && run.passed > 0 },
        },
      ],
      notes: listFailures(run),
    }
  },
}
