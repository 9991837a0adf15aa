/** Invocations on Vercel: many at once in one process, each with its own end, and what people do wrong in them. */

import { type PostgresServer, sessionsOf, startPostgres, startVercel, type VercelInstance, waitForSessions } from '@thaw/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Report, Setup } from './vercel-function.ts'
import { ask, poolOf, startFunction } from './vercel-instance.ts'

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
  await server.query('CREATE TABLE notes (note text NOT NULL)')
})
afterAll(() => server.close())

interface Time {
  readonly maxDurationMillis: number
  readonly deadlineMarginMillis?: number
}
/** Two seconds to wait in, and four to answer: the machine may be loaded. */
const TIME: Time = { maxDurationMillis: 6_000, deadlineMarginMillis: 4_000 }
/** Vercel's own answer is waited for. */
const SHORT: Time = { maxDurationMillis: 3_000 }

/** One instance with one pool, under `withThaw` if it is Thaw's. */
async function start(driver: Setup['driver'], config: object = {}, time: Time = { maxDurationMillis: 60_000 }) {
  const pool = poolOf(server, config)
  const { maxDurationMillis, ...margin } = time
  const instance = await startFunction({ driver, pools: [pool], isWrapped: driver === 'thaw', ...margin }, { maxDurationMillis })
  // Loaded and connected before the time counts.
  await ask(instance, '/burst?note=first')
  return Object.assign(instance, { app: pool.application_name })
}

async function notes(note: string): Promise<number> {
  const { rows } = await server.query<{ n: number }>('SELECT count(*)::int AS n FROM notes WHERE note = $1', [note])
  return rows[0]?.n ?? 0
}

interface Echo {
  readonly value: string
  readonly before: { readonly id: string }
}

describe.concurrent('requests at the same time', () => {
  test.each(['echo', 'echoByCallbacks'])('share a pool, and each is in its own invocation (%s)', async (way) => {
    await using instance = await start('thaw', { max: 3 })
    const values = Array.from({ length: 30 }, (_, n) => String(n))
    const echoes = await Promise.all(values.map((value) => ask<Echo>(instance, `/${way}?value=${value}`)))
    expect(echoes.map(({ value }) => value)).toEqual(values)
    expect(new Set(echoes.map(({ before }) => before.id)).size).toBe(30)
    for (const { value, before, ...rest } of echoes) for (const moment of Object.values(rest)) expect(moment, value).toEqual(before)
  })

  test('do not lose their clients to one that has forgotten its own', async () => {
    await using instance = await start('thaw', { max: 2 })
    const slow = ask<Report>(instance, '/inBackground?note=kept')
    await slow
    await ask(instance, '/leak')
    await ask(instance, '/letGo')
    await instance.suspended()
    expect(await notes('kept')).toBe(1)
    expect(await sessionsOf(server, instance.app)).toEqual([])
  })
})

describe.concurrent('the deadline of an invocation', () => {
  test('that waits for a connection: with plain pg Vercel answers', async () => {
    await using instance = await start('pg', { max: 1 }, SHORT)
    expect(await instance.request('/waitForPlace')).toMatchObject({ status: 504 })
  })

  test('with Thaw the function does, and says that nothing was sent', async () => {
    await using instance = await start('thaw', { max: 1 }, TIME)
    expect(await ask(instance, '/waitForPlace')).toEqual({
      ended: 'failed',
      kind: 'deadline',
      message: expect.stringContaining('Nothing was sent'),
    })
    expect(await ask(instance, '/counts')).toMatchObject({ total: 1, idle: 1 })
  })

  test('that has sent a write says that its outcome is unknown, and no other request is disturbed', async () => {
    await using instance = await start('thaw', { max: 2 }, TIME)
    const [slow] = await Promise.all([ask(instance, '/sleep?note=late'), ask(instance, '/echo?value=a')])
    expect(slow).toMatchObject({ ended: 'failed', kind: 'outcome-unknown' })
    expect(await ask(instance, '/echo?value=b')).toMatchObject({ value: 'b' })
    expect(await notes('late')).toBe(0)
  })

  test('is respected by what is requested after it', async () => {
    await using instance = await start('thaw', {}, TIME)
    expect(await ask(instance, '/afterDeadline?note=after')).toMatchObject({ ended: 'failed', kind: 'deadline' })
    expect(await notes('after')).toBe(0)
  })

  test('takes back the client of a handler that never returns, and the instance sleeps', async () => {
    await using instance = await start('thaw', { max: 1 }, SHORT)
    expect(await instance.request('/hang')).toMatchObject({ status: 504 })
    await instance.suspended()
    expect(await ask(instance, '/echo?value=a')).toMatchObject({ value: 'a' })
    expect(instance.stderr).toContain('vercel-function.ts')
  })
})

describe.concurrent('bad use', () => {
  test('a client that is not released: plain pg waits for it until Vercel ends the invocation', async () => {
    await using instance = await start('pg', { max: 1 }, SHORT)
    await ask(instance, '/leak')
    expect(await instance.request('/waitForPlace')).toMatchObject({ status: 504 })
  })

  test.each(['leakInTransaction', 'releaseInTransaction'])('a transaction that is left open (%s) is rolled back', async (way) => {
    await using instance = await start('thaw', { max: 1 })
    await ask(instance, `/${way}?note=${way}`)
    expect(await ask(instance, '/echo?value=a')).toMatchObject({ value: 'a' })
    await instance.suspended()
    expect([await notes(way), await sessionsOf(server, instance.app)]).toEqual([0, []])
    expect(instance.stderr.includes('was not released')).toBe(way === 'leakInTransaction')
  })

  test('a pool that an earlier request has ended fails each later one, in node-postgres’ words', async () => {
    await using instance = await start('thaw')
    await ask(instance, '/end')
    const ended = { ended: 'failed', message: expect.stringContaining('Cannot use a pool after calling end on the pool') }
    expect(await ask(instance, '/burst?note=never')).toEqual([ended, ended])
  })

  test('work that is not awaited is done all the same, if it has its connection', async () => {
    await using instance = await start('thaw')
    await ask(instance, '/unawaited?note=unawaited')
    await instance.suspended()
    expect([await notes('unawaited'), await sessionsOf(server, instance.app)]).toEqual([1, []])
  })

  test('a pool for each request, never ended: plain pg leaves its sessions behind, Thaw none', async () => {
    const sessionsLeft = async (driver: 'pg' | 'thaw') => {
      await using instance = await start(driver, { idleTimeoutMillis: 1_000 })
      for (let n = 0; n < 3; n++) await ask(instance, '/ownPool')
      await instance.suspended()
      return await sessionsOf(server, instance.app)
    }
    expect((await sessionsLeft('pg')).length).toBeGreaterThanOrEqual(3)
    expect(await sessionsLeft('thaw')).toEqual([])
  })
})

describe.concurrent('rows that are answered as they come', () => {
  const startRows = (app: string): Promise<VercelInstance> =>
    startVercel(new URL('./vercel-rows.ts', import.meta.url), { env: { DATABASE_URL: server.url, APP: app } })

  test.each(['client', 'pool'])('are read within the invocation (%s)', async (way) => {
    await using instance = await startRows(`rows-${way}`)
    expect((await instance.request(`/${way}?count=3`)).body).toBe('0 bounded\n1 bounded\n2 bounded\n')
    expect((await instance.request('/')).body).toBe('[{"one":1}]')
    await instance.suspended()
    expect([await sessionsOf(server, `rows-${way}`), instance.stderr]).toEqual([[], ''])
  })

  test.each(['client', 'pool'])('until their reader hangs up, which is no leak (%s)', async (way) => {
    await using instance = await startRows(`hung-up-${way}`)
    const reader = new AbortController()
    const request = instance.request(`/${way}?count=1000000000`, { signal: reader.signal })
    await waitForSessions(server, `hung-up-${way}`, 1)
    reader.abort()
    await expect(request).rejects.toThrow()
    expect((await instance.request('/')).body).toBe('[{"one":1}]')
    await instance.suspended()
    expect(await sessionsOf(server, `hung-up-${way}`)).toEqual([])
    expect(instance.stderr).not.toContain('was not released')
  })
})
