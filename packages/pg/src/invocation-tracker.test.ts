/** What a pool does for a platform. The platform is played by core's own rules; PostgreSQL is real. */

import { AsyncLocalStorage } from 'node:async_hooks'
import {
  beginInvocation,
  createInvocation,
  currentInvocation,
  DeadlineError,
  endInvocation,
  type Invocation,
  type OpenInvocation,
  runInvocation,
  systemClock,
  trackedPoolOf,
  trackedPools,
} from '@thaw/core'
import { waitForSessions } from '@thaw/testkit'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { proxy, server, useFreshProxy } from '../test/one-server.ts'
import { roundTripsAt } from '../test/round-trips.ts'
import { createTimerClock } from '../test/timer-clock.ts'
import { Pool, type PoolConfig } from './index.ts'

useFreshProxy()

const clock = createTimerClock()
let pool: Pool

const createStorage = () => new AsyncLocalStorage<Invocation>()
const open = (endsAt?: number): OpenInvocation => createInvocation({ id: 'a', endsAt, marginMillis: 0, clock: systemClock })
const inside = <Result>(invocation: Invocation, work: () => Result): Result => runInvocation(invocation, createStorage, work)

function createPool(config: PoolConfig = {}): Pool {
  pool = new Pool({ connectionString: proxy.urlFor(server.url), application_name: 'member', clock, idleTimeoutMillis: 0, ...config })
  return pool
}

const roundTrips = (work: () => Promise<unknown>) => roundTripsAt(proxy, work)

beforeEach(() => clock.reset())
afterEach(() => pool.end({ timeoutMillis: 1000 }))

describe('a pool', () => {
  test('is unknown to platforms until it is used, and again when it has ended', async () => {
    const before = trackedPools().length
    createPool()
    expect(trackedPools()).toHaveLength(before)
    await pool.query('select 1')
    await pool.query('select 1')
    expect(trackedPools()).toHaveLength(before + 1)
    await pool.end()
    expect(trackedPools()).toHaveLength(before)
    createPool()
  })
})

describe('when an invocation begins', () => {
  test('the newest idle connection is proven before the first statement wants it, and no other', async () => {
    createPool({ max: 3 })
    const clients = await Promise.all([pool.connect(), pool.connect(), pool.connect()])
    for (const client of clients) client.release()
    endInvocation(open())
    clock.skipped.wall += 60_000
    const asked = await roundTrips(async () => {
      beginInvocation(open(), { newInvocation: true })
      await expect.poll(() => pool.stats()).toMatchObject({ thawed: 1, probed: 1 })
    })
    expect(asked).toBe(1)
    expect(await roundTrips(() => pool.query('select 1'))).toBe(1)
    expect(pool.stats()).toMatchObject({ probed: 1, connected: 3 })
  })

  test('soon after the last one nothing is asked', async () => {
    createPool()
    await pool.query('select 1')
    beginInvocation(open(), { newInvocation: true })
    await pool.query('select 1')
    expect(pool.stats()).toMatchObject({ thawed: 0, socketsPolled: 0, probed: 0 })
  })

  test('an outside clock that is ahead of both of ours is believed', async () => {
    createPool()
    await pool.query('select 1')
    endInvocation(open())
    beginInvocation(open(), { newInvocation: true, outsideWall: Date.now() + 60_000 })
    await expect.poll(() => pool.stats()).toMatchObject({ thawed: 1, probed: 1 })
  })

  test('where nothing is idle nothing is asked', async () => {
    createPool()
    const client = await pool.connect()
    clock.skipped.wall += 60_000
    beginInvocation(open(), { newInvocation: true })
    client.release()
    expect(pool.stats()).toMatchObject({ socketsPolled: 0, probed: 0 })
  })

  test('right after one that took long, there was no freeze', async () => {
    createPool()
    await pool.query('select 1')
    clock.skip(5000)
    endInvocation(open())
    beginInvocation(open(), { newInvocation: true })
    expect(pool.stats().thawed).toBe(0)
  })
})

describe('when an invocation ends', () => {
  test('a client that it never gave back is closed, its transaction rolled back, and its place told', async () => {
    createPool({ max: 1 })
    await server.query('create table if not exists leaked (n int)')
    const invocation = open()
    await inside(invocation, async function forgetful() {
      const client = await pool.connect()
      await client.query('begin')
      await client.query('insert into leaked values (1)')
    })
    expect(trackedPoolOf(pool)?.holds(invocation)).toBe(true)
    const leaks = endInvocation(invocation)
    expect(trackedPoolOf(pool)?.holds(invocation)).toBe(false)
    expect(leaks).toHaveLength(1)
    expect(leaks[0]?.acquiredAt).toContain('forgetful')
    expect(leaks[0]?.acquiredAt.split('\n')[0]).toContain('invocation-tracker.test.ts')
    await waitForSessions(server, 'member', 0)
    expect((await pool.query('select count(*)::int as n from leaked')).rows).toEqual([{ n: 0 }])
  })

  test('releasing it too late is silent, and harms no one', async () => {
    createPool({ max: 1 })
    const invocation = open()
    const client = await inside(invocation, () => pool.connect())
    expect(endInvocation(invocation)).toHaveLength(1)
    client.release()
    await pool.query('select 1')
    expect(pool.stats()).toMatchObject({ total: 1, idle: 1 })
  })

  test('clients that came back are no leaks, however they came back', async () => {
    createPool({ max: 4 })
    const invocation = open()
    await inside(invocation, async () => {
      const [kept, destroyed, running] = await Promise.all([pool.connect(), pool.connect(), pool.connect()])
      kept.release()
      destroyed.release(true)
      void running.query('select pg_sleep(0.1)')
      running.release()
      pool.query('select pg_sleep(0.1)', () => {})
    })
    expect(endInvocation(invocation)).toEqual([])
  })

  test('what belongs to another invocation, or to none, is left alone', async () => {
    createPool({ max: 3 })
    const [one, other] = [open(), open()]
    const [mine, yours, nobodys] = await Promise.all([
      inside(one, () => pool.connect()),
      inside(other, () => pool.connect()),
      pool.connect(),
    ])
    expect(endInvocation(one)).toHaveLength(1)
    await expect(mine.query('select 1')).rejects.toThrow()
    await yours.query('select 1')
    await nobodys.query('select 1')
    yours.release()
    nobodys.release()
    expect(endInvocation(other)).toEqual([])
  })
})

describe('who asks by callbacks', () => {
  const id = () => currentInvocation()?.id
  const idle = () => pool.query('select 1')

  test('is answered within its own invocation, though another’s opened the connection', async () => {
    createPool({ max: 1 })
    const create = (name: string) => createInvocation({ id: name, marginMillis: 0, clock: systemClock })
    await inside(create('opener'), idle)
    const ids = await inside(create('asker'), () => {
      const seen: (string | undefined)[] = []
      return new Promise((resolve) => {
        pool.query('select 1', () => {
          seen.push(id())
          pool.query('select $1::int', [1], () => {
            seen.push(id())
            pool.connect((_failure, client, release) => {
              seen.push(id())
              client?.query('select 1', () => {
                seen.push(id())
                client.query('select $1::int', [1], () => {
                  release()
                  resolve([...seen, id()])
                })
              })
            })
          })
        })
      })
    })
    expect(ids).toEqual(Array(5).fill('asker'))
  })

  test('is served by another’s release within its own, or in none', async () => {
    createPool({ max: 1 })
    const client = await pool.connect()
    const waited = new Promise((resolve) => {
      pool.connect((_failure, _client, release) => {
        release()
        resolve(id())
      })
    })
    inside(open(), () => client.release())
    expect(await waited).toBeUndefined()
  })
})

describe('the invocation’s deadline', () => {
  test('cuts the wait for a connection short, and says so', async () => {
    createPool({ max: 1 })
    const client = await pool.connect()
    const error = await inside(open(Date.now() + 100), () => pool.query('select 1')).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(DeadlineError)
    expect(error).toMatchObject({ kind: 'deadline', cause: { kind: 'acquire-timeout', stage: 'wait' } })
    client.release()
    await pool.query('select 1')
  })

  test('is each caller’s own, whichever came first', async () => {
    createPool({ max: 1 })
    const client = await pool.connect()
    const ends: string[] = []
    const wait = (name: string, millis?: number) =>
      inside(open(millis && Date.now() + millis), () => pool.query('select 1')).then(
        () => ends.push(`${name} served`),
        (error: unknown) => ends.push(`${name} ${(error as DeadlineError).kind}`),
      )
    const [patient, late] = [wait('patient'), wait('late', 200)]
    await Promise.all([late, wait('early', 50)])
    client.release()
    await patient
    expect(ends).toEqual(['early deadline', 'late deadline', 'patient served'])
  })

  test('ends a connection attempt that is never answered', async () => {
    await proxy.deafen()
    createPool({ max: 1 })
    await expect(inside(open(Date.now() + 100), () => pool.connect())).rejects.toMatchObject({ kind: 'deadline' })
    // And does not leave it in the way of the next.
    await proxy.accept()
    await pool.query('select 1')
  })
})

test('closing what is idle resolves when the server has no session left, and the pool goes on', async () => {
  createPool({ max: 2 })
  const [one, two] = await Promise.all([pool.connect(), pool.connect()])
  one.release()
  await trackedPoolOf(pool)?.closeIdle()
  expect(pool.stats()).toMatchObject({ total: 1, idle: 0 })
  two.release()
  await pool.query('select 1')
  await trackedPoolOf(pool)?.closeIdle()
  await waitForSessions(server, 'member', 0)
})

test('a client that is kept beyond its invocation says why it does not work', async () => {
  createPool()
  const invocation = open()
  const kept = await inside(invocation, () => pool.connect())
  endInvocation(invocation)
  const error = await kept.query('select 1').catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({
    kind: 'connection-lost',
    outcome: 'not-executed',
    message: expect.stringMatching(/invocation that acquired this client has ended/),
  })
})

describe('a pool', () => {
  test('that an invocation made says which and where, of whatever class', async () => {
    const invocation = open()
    class Mine extends Pool {}
    createPool()
    for (const Made of [Pool, Mine]) {
      const made = inside(invocation, () => new Made({ connectionString: server.url }))
      await made.query('select 1')
      const { origin } = trackedPoolOf(made) ?? {}
      await made.end()
      expect(origin?.invocation).toBe(invocation)
      expect(origin?.madeAt.split('\n')[0]).toContain('invocation-tracker.test.ts')
    }
  })

  test('that a module made says nothing', async () => {
    createPool()
    await inside(open(), () => pool.query('select 1'))
    expect(trackedPoolOf(pool)?.origin).toBeUndefined()
  })
})
