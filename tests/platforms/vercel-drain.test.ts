/**
 * Vercel suspends an instance when no request and no `waitUntil` promise is pending. No idle timer runs from then on: what is connected stays
 * connected at the server, for as long as the instance sleeps, and for ever after a new deployment. Vercel's own `attachDatabasePool` holds
 * the instance by one timer for all pools. Thaw's `attachPool` holds it for each pool, until its connections are closed.
 */

import { PrismaPg } from '@prisma/adapter-pg'
import { type PostgresServer, sessionsOf, startPostgres, waitForSessions } from '@thaw/testkit'
import { attachPool } from '@thaw/vercel'
import { attachDatabasePool } from '@vercel/functions'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PrismaClient } from '../downstream/prisma-client.ts'
import { ask, poolOf, startFunction } from './vercel-instance.ts'

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
  await server.query('CREATE TABLE notes (note text NOT NULL)')
})
afterAll(() => server.close())

const DRIVERS = ['pg', 'thaw'] as const

// Most of the time is spent waiting for idle timeouts, which many can do side by side.
describe.concurrent('two pools of different idle times, the slower one used first', () => {
  const twoPools = () => [poolOf(server, { idleTimeoutMillis: 300 }), poolOf(server, { idleTimeoutMillis: 3_000 })] as const

  test('leave a session behind with attachDatabasePool', async () => {
    const pools = twoPools()
    await using instance = await startFunction({ driver: 'pg', drain: 'attachDatabasePool', pools })
    await ask(instance, '/use?pools=1,0')
    await instance.suspended()
    await waitForSessions(server, pools[0].application_name, 0)
    expect(await sessionsOf(server, pools[1].application_name)).toHaveLength(1)
  })

  test.each(DRIVERS)('leave none with attachPool (%s)', async (driver) => {
    const pools = twoPools()
    await using instance = await startFunction({ driver, drain: 'attachPool', pools })
    for (let round = 0; round < 2; round++) {
      await ask(instance, '/use?pools=1,0')
      await instance.suspended()
      for (const { application_name } of pools) await waitForSessions(server, application_name, 0)
    }
  })

  test('leave none with withThaw alone', async () => {
    const pools = twoPools()
    await using instance = await startFunction({ driver: 'thaw', isWrapped: true, pools })
    await ask(instance, '/use?pools=1,0')
    await instance.suspended()
    for (const { application_name } of pools) await waitForSessions(server, application_name, 0)
  })
})

test('what the module itself used, before it called withThaw, is not left behind by a request that asks nothing', async () => {
  const pool = poolOf(server, { idleTimeoutMillis: 60_000 })
  await using instance = await startFunction({ driver: 'thaw', isWrapped: true, pools: [pool], warmUp: true })
  await ask(instance, '/counts')
  await instance.suspended()
  await waitForSessions(server, pool.application_name, 0)
})

describe.concurrent.each(DRIVERS)('attachPool (%s)', (driver) => {
  test.each([
    ['has no idle timeout', { idleTimeoutMillis: 0 }],
    ['keeps a minimum', { idleTimeoutMillis: 200, min: 2 }],
  ])('closes what is idle though the pool %s', async (_, options) => {
    const pool = poolOf(server, options)
    await using instance = await startFunction({ driver, drain: 'attachPool', pools: [pool] })
    expect(await ask(instance, '/burst?calls=3')).toEqual(Array(4).fill({ ended: 'ok' }))
    expect(instance.isSuspended).toBe(false)
    await instance.suspended()
    await waitForSessions(server, pool.application_name, 0)
    expect(await ask(instance, '/burst')).toEqual(Array(2).fill({ ended: 'ok' }))
  })

  test('closes what is idle before the deadline of the invocation that holds the instance', async () => {
    const pool = poolOf(server, { idleTimeoutMillis: 60_000 })
    await using instance = await startFunction({ driver, drain: 'attachPool', pools: [pool] }, { maxDurationMillis: 3_000 })
    await ask(instance, '/use')
    await instance.suspended()
    await waitForSessions(server, pool.application_name, 0)
  })

  test('is not fooled by a connection that another request opened', async () => {
    const pool = poolOf(server, { max: 1, idleTimeoutMillis: 300 })
    await using instance = await startFunction({ driver, drain: 'attachPool', pools: [pool] })
    // Both wait for the same connection: who gets it second gets it from the first one's socket.
    await Promise.all([ask(instance, '/echo?value=a'), ask(instance, '/echo?value=b')])
    await ask(instance, '/echo?value=c')
    await instance.suspended()
    await waitForSessions(server, pool.application_name, 0)
  })

  test('waits for work that was not awaited, and then closes its connection', async () => {
    // For as long as an idle connection is kept, counted from the beginning of the work: a busy machine may need seconds for it.
    const pool = poolOf(server, { idleTimeoutMillis: 3_000 })
    await using instance = await startFunction({ driver, drain: 'attachPool', pools: [pool] })
    await ask(instance, `/unawaited?note=${pool.application_name}`)
    await instance.suspended()
    const { rows } = await server.query('SELECT note FROM notes WHERE note = $1', [pool.application_name])
    expect(rows).toHaveLength(1)
    await waitForSessions(server, pool.application_name, 0)
  })

  test('closes at once what is used outside of requests', async () => {
    const pool = poolOf(server, { idleTimeoutMillis: 60_000 })
    await using _ = await startFunction({ driver, drain: 'attachPool', pools: [pool], warmUp: true })
    await waitForSessions(server, pool.application_name, 0)
  })

  test('attached twice listens once, to a Thaw pool as a platform', async () => {
    const pool = poolOf(server)
    await using instance = await startFunction({ driver, drain: 'attachPool', pools: [pool] })
    expect(await ask(instance, '/counts')).toMatchObject({ listeners: [driver === 'pg' ? 1 : 0, 1] })
  })
})

describe.concurrent("Prisma's client", () => {
  test('is no pool, for attachDatabasePool or attachPool: it is its pool that can be attached', () => {
    const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: server.url }) })
    expect(() => attachDatabasePool(prisma as never)).toThrow('Unsupported database pool type')
    expect(() => attachPool(prisma as never)).toThrow(expect.objectContaining({ kind: 'option', option: 'pool' }))
  })

  test.each([
    ['pg', undefined, { idleTimeoutMillis: 60_000 }, 1],
    ['thaw', 'attachPool', { idleTimeoutMillis: 300 }, 0],
  ] as const)('on a pool of %s, attached with %s, leaves so many sessions: %o %i', async (driver, drain, options, left) => {
    const pool = poolOf(server, options)
    await using instance = await startFunction({ driver, ...(drain && { drain }), pools: [pool] })
    await ask(instance, '/prisma')
    await instance.suspended()
    expect(await sessionsOf(server, pool.application_name)).toHaveLength(left)
  })
})

describe.concurrent.each(DRIVERS)('at SIGTERM, attachPool (%s)', (driver) => {
  // Vercel gives half a second. Thaw takes 400 ms of it at most; whether a loaded machine runs us in the rest says nothing.
  const patient = { terminationMillis: 20_000 }

  test('closes the connections, and the process ends of it', async () => {
    const pool = poolOf(server, { idleTimeoutMillis: 60_000 })
    await using instance = await startFunction({ driver, drain: 'attachPool', pools: [pool] }, patient)
    await ask(instance, '/burst?calls=4')
    expect(await instance.shutdown()).toEqual({ code: null, signal: 'SIGTERM' })
    await waitForSessions(server, pool.application_name, 0)
  })

  test('leaves the end to an application that listens for SIGTERM itself', async () => {
    const pool = poolOf(server, { idleTimeoutMillis: 60_000 })
    await using instance = await startFunction({ driver, drain: 'attachPool', pools: [pool], farewell: true }, patient)
    await ask(instance, '/burst?calls=4')
    expect(await instance.shutdown()).toEqual({ code: 7, signal: null })
    expect(instance.stdout).toContain('farewell')
    await waitForSessions(server, pool.application_name, 0)
  })
})
