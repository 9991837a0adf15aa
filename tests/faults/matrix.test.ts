/**
 * The fault matrix.
 *
 * What breaks: everything in `faults.ts`, in the kernel (a frozen process), the network (FIN, RST, silence), the name server and the
 * server. With plain `pg` the user sees failed or endless calls, and lost slots; with Thaw nothing, but for a statement whose
 * bytes had been sent: at most that one call fails, and nothing is written twice.
 *
 * Each cell runs plain `pg` first. Where that passes too, the fault says so, and the cell is a control.
 */

import { type PostgresServer, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLedger, type Observations, runCell } from './cell.ts'
import type { Driver } from './child.ts'
import { FAULTS } from './faults.ts'
import { createLanes, createMutex } from './lanes.ts'
import { type Cell, selectCells } from './matrix.ts'
import { complaints, outcomeOf, summary } from './verdict.ts'

const LANES = 4
const CELL_TIMEOUT_MILLIS = 120_000

const lanes = createLanes(LANES)
const exclusively = createMutex()
const told = new Map<string, Set<string>>()
const timings: Record<Driver, number[]> = { pg: [], thaw: [] }
let shared: PostgresServer
let own: PostgresServer
let runs = 0

beforeAll(async () => {
  const options = { tls: true, settings: { max_connections: 200 } }
  ;[shared, own] = await Promise.all([startPostgres(options), startPostgres(options)])
  await Promise.all([createLedger(shared), createLedger(own)])
}, CELL_TIMEOUT_MILLIS)

afterAll(async () => {
  const lines = FAULTS.map(({ name, plain }) => `  ${name} (${plain}): ${[...(told.get(name) ?? [])].join(' | ')}`)
  console.log(`What plain pg did:\n${lines.join('\n')}\nmedian of a cell: pg ${median(timings.pg)} ms, thaw ${median(timings.thaw)} ms`)
  await lanes.close()
  await Promise.all([shared.close(), own.close()])
}, CELL_TIMEOUT_MILLIS)

describe.concurrent('fault matrix', () => {
  for (const cell of selectCells(process.env['THAW_MATRIX'])) {
    const control = cell.fault.plain === 'passes' ? ' (control)' : ''
    it(`${cell.name}${control}`, { timeout: CELL_TIMEOUT_MILLIS }, async () => {
      const plain = await run(cell, 'pg')
      note(cell, summary(plain))
      expect(outcomeOf(plain), `plain pg: ${summary(plain)}`).toBe(cell.fault.plain)
      const thaw = await run(cell, 'thaw')
      expect(complaints(cell, thaw).join('\n'), `thaw: ${summary(thaw)}`).toBe('')
    })
  }
})

async function run(cell: Cell, driver: Driver): Promise<Observations> {
  const id = `cell-${++runs}-${driver}`
  const work = () =>
    lanes.use(async (child) => {
      const start = performance.now()
      const seen = await runCell(cell, { server: cell.fault.ownServer ? own : shared, driver, child, id })
      timings[driver].push(performance.now() - start)
      return seen
    })
  return cell.fault.ownServer ? exclusively(work) : work()
}

function note({ fault }: Cell, line: string): void {
  const lines = told.get(fault.name) ?? new Set()
  told.set(fault.name, lines.add(line))
}

function median(values: readonly number[]): number {
  return Math.round(values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0)
}
