/**
 * What breaks: the process is frozen, on a laptop that is closed or by a host that pauses it, and its connections to the database die meanwhile. It
 * is not told before it sends. With plain `pg` the requests that wake it fail, or hang. With Thaw nothing is seen, and each order is stored once.
 */

import { type CutKind, type FaultProxy, type PostgresServer, startFaultProxy, waitForSessions } from '@thaw/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { customerOf, storedFor } from './customer.ts'
import { environmentOf, NAME, startDatabase } from './database.ts'
import { type Ending, freezeAndCut } from './freeze.ts'
import { type Driver, type RunningApp, startOnLaptop, startOnVercel } from './running-app.ts'

let server: PostgresServer
beforeAll(async () => {
  server = await startDatabase()
})
afterAll(() => server.close())

describe.each([
  ['a laptop', startOnLaptop],
  ['Vercel', startOnVercel],
])('on %s', (_, start) => {
  const running = new Map<Driver, { readonly app: RunningApp; readonly proxy: FaultProxy }>()

  beforeAll(async () => {
    const begin = async (driver: Driver): Promise<void> => {
      const proxy = await startFaultProxy(server)
      running.set(driver, { app: await start(driver, environmentOf(server, proxy)), proxy })
    }
    await Promise.all([begin('pg'), begin('thaw')])
  })
  afterAll(async () => {
    for (const { app, proxy } of running.values()) {
      await app[Symbol.asyncDispose]()
      await proxy.close()
    }
  })

  async function strike(driver: Driver, cut: CutKind): Promise<Ending> {
    const { app, proxy } = running.get(driver) ?? {}
    if (!app || !proxy) throw new Error(`The app with ${driver} has not started.`)
    return freezeAndCut({ driver, app, server, proxy, cut })
  }

  // The silent one last: what hangs on plain pg goes on hanging.
  test.each<[CutKind, number | 'hangs']>([
    ['fin-on-next-byte', 500],
    ['rst-on-next-byte', 500],
    ['drop', 'hangs'],
  ])('after a freeze and a %s plain pg answers %s, and Thaw as ever', async (cut, failure) => {
    const [plain, thaw] = await Promise.all([strike('pg', cut), strike('thaw', cut)])
    expect([plain.struck, thaw.struck]).toEqual([expect.toSatisfy(isPositive), expect.toSatisfy(isPositive)])
    expect(plain.answers).toContain(failure)
    expect(thaw.answers).toEqual([200, 201, 201, 201, 200, 201])
    expect(thaw.stored).toEqual(['coffee', 'milk', 'sugar', 'tea'])
  })
})

test('suspended by Vercel, it has no session at the server, and goes on when it is woken', async () => {
  await using app = await startOnVercel('thaw', environmentOf(server, server))
  const customer = customerOf(app)
  await customer.register()
  expect(await customer.order('tea')).toMatchObject({ status: 201 })
  await waitForSessions(server, NAME, 1)
  await app.suspended()
  await waitForSessions(server, NAME, 0)
  expect([await customer.login(), await customer.order('milk')]).toMatchObject([{ status: 200 }, { status: 201 }])
  expect(await storedFor(server, customer)).toEqual(['milk', 'tea'])
})

const isPositive = (count: number): boolean => count > 0
