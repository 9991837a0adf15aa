/** Core's property tests over random schedules, many more than `pnpm test` takes the time for. */

import { listFailures, runTests } from './long-tests.ts'
import type { Scenario } from './scenario.ts'

const SCHEDULES = 100_000

export const schedules: Scenario = {
  name: 'schedules',
  title: 'Random schedules of freeze, fault, acquire and release; of writes that must be applied once',
  async run({ quick, progress }) {
    const count = quick ? SCHEDULES / 100 : SCHEDULES
    progress(`${count} runs of each property`)
    const run = await runTests('packages/core', ['src/schedule.property.test.ts', 'src/once.model.test.ts'], { THAW_RUNS: String(count) })
    return {
      rows: [
        {
          measured: `properties that hold in ${count.toLocaleString('en')} runs each (${run.failed} failed, ${run.seconds.toFixed(0)} s)`,
          unit: 'tests',
          thaw: { value: run.passed },
          target: { says: 'all', met: run.failed === 0 && run.skipped === 0 && run.passed > 0 },
        },
      ],
      notes: listFailures(run),
    }
  },
}
