/** What `withThaw` adds to an invocation that asks nothing of the database. */

import { withThaw } from '@thaw/lambda'
import { Pool } from '@thaw/pg'
import type { Row, Scenario } from './scenario.ts'
import { figureOf } from './statistics.ts'

const TARGET_MICROS = 20
/** About 20 ms of work, a few time slices, and well inside the half second for which a connection is trusted. */
const INVOCATIONS = 2_000

interface Context {
  readonly awsRequestId: string
  getRemainingTimeInMillis(): number
}

const bare = async (event: number, _context: Context): Promise<number> => event
const wrapped = withThaw(bare)

export const wrapper: Scenario = {
  name: 'wrapper',
  title: '`withThaw`, per invocation',
  async run({ postgres, quick, progress }) {
    const server = await postgres()
    const turns = quick ? 5 : 100
    const alone = await measure('no pool', turns, progress, async () => {})
    const pool = new Pool({ connectionString: server.url })
    const beside = await measure('a pool', turns, progress, () => pool.query('select 1'))
    await pool.end()
    return {
      rows: [rowOf('the process has no pool', alone), rowOf('the process has a pool with a connection that was just used', beside)],
      notes: ['Bare and wrapped in turn, in chunks; the target is for the difference of the medians.'],
    }
  },
}

interface Samples {
  readonly bare: number[]
  readonly wrapped: number[]
}

async function measure(says: string, turns: number, progress: (text: string) => void, refresh: () => Promise<unknown>): Promise<Samples> {
  const samples: Samples = { bare: [], wrapped: [] }
  for (let turn = 0; turn < turns; turn++) {
    for (const [lane, handler] of [['bare', bare] as const, ['wrapped', wrapped] as const]) {
      await refresh()
      const micros = await chunk(handler)
      // The first chunks warm the compiler up.
      if (turn > 0) samples[lane].push(micros)
    }
    progress(`${says}: ${turn + 1}`)
  }
  return samples
}

async function chunk(handler: typeof bare): Promise<number> {
  const deadlineAt = Date.now() + 3000
  const start = performance.now()
  for (let id = 0; id < INVOCATIONS; id++) {
    await handler(id, { awsRequestId: String(id), getRemainingTimeInMillis: () => deadlineAt - Date.now() })
  }
  return ((performance.now() - start) * 1000) / INVOCATIONS
}

function rowOf(measured: string, samples: Samples): Row {
  const [without, withIt] = [figureOf(samples.bare), figureOf(samples.wrapped)]
  const added = withIt.value - without.value
  return {
    measured: `${measured} (adds ${added.toFixed(1)} µs)`,
    unit: 'µs',
    pg: without,
    thaw: withIt,
    target: { says: `adds < ${TARGET_MICROS}`, met: added < TARGET_MICROS },
  }
}
