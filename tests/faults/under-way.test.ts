/**
 * The faults of the matrix, with eight reads under way on shared connections.
 *
 * What breaks: everything in `faults.ts`. The first read on each connection waits for a lock, the others wait behind it, and one more call comes when the fault has struck. The
 * eight are answered, each with its own row; the ninth is, too, or is told what became of it; nothing is written twice, and no place is lost. What plain `pg` makes of the
 * faults is in `matrix.test.ts`.
 *
 * Each fault once, or with THAW_MATRIX=full (`pnpm bench matrix`) the whole cross product.
 */

import { type PostgresServer, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLedger } from './cell.ts'
import { createLanes, createMutex } from './lanes.ts'
import { complaintsUnderWay, selectUnderWay } from './under-way.ts'

const CELL_TIMEOUT_MILLIS = 120_000

const lanes = createLanes(3)
const exclusively = createMutex()
let shared: PostgresServer
let own: PostgresServer
let runs = 0

beforeAll(async () => {
  const options = { tls: true, settings: { max_connections: 200 } }
  ;[shared, own] = await Promise.all([startPostgres(options), startPostgres(options)])
  await Promise.all([createLedger(shared), createLedger(own)])
}, CELL_TIMEOUT_MILLIS)

afterAll(async () => {
  await lanes.close()
  await Promise.all([shared.close(), own.close()])
}, CELL_TIMEOUT_MILLIS)

describe.concurrent('eight reads under way', () => {
  for (const cell of selectUnderWay(process.env['THAW_MATRIX']))
    it(cell.name, { timeout: CELL_TIMEOUT_MILLIS }, async () => {
      const { ownServer } = cell.fault
      const id = `eight-${++runs}`
      const work = () => lanes.use((child) => complaintsUnderWay(cell, { server: ownServer ? own : shared, driver: 'thaw', child, id }))
      expect((await (ownServer ? exclusively(work) : work())).join('\n')).toBe('')
    })
})
