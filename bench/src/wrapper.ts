/** What `withThaw` adds to an invocation that asks nothing of the database. */

import { withThaw as onLambda } from '@thaw/lambda'
import { Pool } from '@thaw/pg'
import { withThaw as onVercel } from '@thaw/vercel'
import type { Row, Scenario } from './scenario.ts'
import { figureOf } from './statistics.ts'

const TARGET_MICROS = 20
/** About 20 ms of work, a few time slices, and well inside the half second for which a connection is trusted. */
const INVOCATIONS = 2_000

interface LambdaContext {
  readonly awsRequestId: string
  getRemainingTimeInMillis(): number
}

interface VercelContext {
  readonly deadline: string
  waitUntil?(promise: Promise<unknown>): void
}

/** One invocation after the other, as its platform makes them. */
interface Lane {
  readonly platform: string
  readonly bare: (id: number) => Promise<unknown>
  readonly wrapped: (id: number) => Promise<unknown>
}

const handleEvent = async (event: number, _context: LambdaContext): Promise<number> => event
const handleRequest = async (_request: unknown): Promise<Response> => Response.json({ ok: true })
const handleNode = async (_request: unknown, _response: object): Promise<void> => {}

const startedAt = Date.now()
let vercelContext: VercelContext | undefined
Object.assign(globalThis, { [Symbol.for('@vercel/request-context')]: { get: () => vercelContext } })

function laneOf<Handler>(
  platform: string,
  bare: Handler,
  wrapped: Handler,
  call: (handler: Handler, id: number) => Promise<unknown>,
): Lane {
  return { platform, bare: (id) => call(bare, id), wrapped: (id) => call(wrapped, id) }
}

function beginOnVercel(): void {
  vercelContext = { deadline: new Date(startedAt + 3_600_000).toISOString(), waitUntil: (promise) => void promise.then(() => {}) }
}

const LANES: readonly Lane[] = [
  laneOf('Lambda', handleEvent, onLambda(handleEvent), (handler, id) =>
    handler(id, { awsRequestId: String(id), getRemainingTimeInMillis: () => startedAt + 3_600_000 - Date.now() }),
  ),
  laneOf('Vercel, (request, response)', handleNode, onVercel(handleNode), (handler) => {
    beginOnVercel()
    return handler({}, { writableFinished: true, writeHead() {}, once() {} })
  }),
  laneOf('Vercel, (request) => Response', handleRequest, onVercel(handleRequest), async (handler) => {
    beginOnVercel()
    // As Node's own adapter reads it.
    const reader = (await handler({})).body?.getReader()
    while (reader && !(await reader.read()).done);
  }),
]

export const wrapper: Scenario = {
  name: 'wrapper',
  title: '`withThaw`, per invocation',
  async run({ postgres, quick, progress }) {
    const server = await postgres()
    const turns = quick ? 5 : 100
    const pool = new Pool({ connectionString: server.url })
    const rows: Row[] = []
    for (const lane of LANES) {
      rows.push(rowOf(`${lane.platform}; no pool`, await measure(lane, turns, progress, async () => {})))
    }
    for (const lane of LANES) {
      const beside = await measure(lane, turns, progress, () => pool.query('select 1'))
      rows.push(rowOf(`${lane.platform}; a pool with a connection that was just used`, beside))
    }
    await pool.end()
    return { rows, notes: ['Bare and wrapped in turn, in chunks; the target is for the difference of the medians.'] }
  },
}

interface Samples {
  readonly bare: number[]
  readonly wrapped: number[]
}

async function measure(lane: Lane, turns: number, progress: (text: string) => void, refresh: () => Promise<unknown>): Promise<Samples> {
  const samples: Samples = { bare: [], wrapped: [] }
  for (let turn = 0; turn < turns; turn++) {
    for (const kind of ['bare', 'wrapped'] as const) {
      await refresh()
      const micros = await chunk(lane[kind])
      // The first chunks warm the compiler up.
      if (turn > 0) samples[kind].push(micros)
    }
    progress(`${lane.platform}: ${turn + 1}`)
  }
  return samples
}

async function chunk(invoke: Lane['bare']): Promise<number> {
  const start = performance.now()
  for (let id = 0; id < INVOCATIONS; id++) await invoke(id)
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
