/**
 * An instance on Vercel, in the testkit's emulator: suspended, with its connections open, while nothing is pending.
 *
 * What breaks: the connections die while the instance is suspended, and the requests that wake it are handled before their death is heard of. With
 * plain `pg` they fail, hang, or end the process by an uncaught error. With Thaw nothing is seen, with or without `withThaw`; here it is
 * without, because `withThaw` leaves nothing connected that could die.
 */

import { type CutKind, type FaultProxy, type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Report } from './vercel-function.ts'
import { ask, poolOf, startFunction } from './vercel-instance.ts'

type Driver = 'pg' | 'thaw'

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
  await server.query('CREATE TABLE notes (note text NOT NULL)')
})
afterAll(() => server.close())

const MINUTE = 60_000
const CONNECTIONS = 3
const CALLS = 4

interface Cell {
  readonly cut: CutKind
  readonly clock: 'running' | 'stopped'
  /** What plain pg does with it. */
  readonly plain: 'failed' | 'hangs'
}

const CELLS: readonly Cell[] = (['running', 'stopped'] as const).flatMap((clock) => [
  { cut: 'fin', clock, plain: 'failed' },
  { cut: 'rst', clock, plain: 'failed' },
  { cut: 'rst-on-next-byte', clock, plain: 'failed' },
  { cut: 'drop', clock, plain: 'hangs' },
])

/** Cuts what is connected while the instance is suspended and its next request lies in the kernel. */
async function strike(driver: Driver, { cut, clock }: Cell, proxy: FaultProxy) {
  // Above all ages here: a connection that is dropped for its age proves nothing about a fault.
  const config = { ...poolOf(server, { idleTimeoutMillis: 120_000 }), connectionString: proxy.urlFor(server.url) }
  await using instance = await startFunction({ driver, pools: [config], ownClock: true })
  await ask(instance, `/burst?calls=${CONNECTIONS}&note=before`)
  if (clock === 'stopped') await ask(instance, '/stopClock')
  await instance.suspended()
  const note = config.application_name
  const passed = `wallMillis=${MINUTE}&monoMillis=${clock === 'running' ? MINUTE : 0}`
  const { answer } = await instance.deliver(`/burst?calls=${CALLS}&note=${note}&${passed}`)
  // Never fewer: a loaded machine may have opened one more.
  const isStruck = proxy.cut(cut) >= CONNECTIONS
  await instance.wake()
  const reports = JSON.parse((await answer).body) as Report[]
  const { rows } = await server.query<{ n: number }>("SELECT count(*)::int AS n FROM notes WHERE note LIKE $1 || ' %' GROUP BY note", [
    note,
  ])
  return { isStruck, ends: new Set(reports.map(({ ended }) => ended)), uncaught: instance.uncaught.length, written: rows.map(({ n }) => n) }
}

describe.concurrent.for(CELLS)('a $cut while the instance is suspended with the clock $clock', (cell) => {
  test(`plain pg ${cell.plain}`, async () => {
    await using proxy = await startFaultProxy(server)
    const { isStruck, ends } = await strike('pg', cell, proxy)
    expect(isStruck).toBe(true)
    expect(ends).toContain(cell.plain)
  })

  test('is not seen on Thaw, and each note written once', async () => {
    await using proxy = await startFaultProxy(server)
    expect(await strike('thaw', cell, proxy)).toEqual({
      isStruck: true,
      ends: new Set(['ok']),
      uncaught: 0,
      written: Array(CALLS + 1).fill(1),
    })
  })
})
