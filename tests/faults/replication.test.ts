/**
 * Synchronous replication, and a standby that has lost touch: COMMIT waits for it.
 *
 * What breaks: that wait is ended, by what Thaw does after a loss or by a cancel. PostgreSQL then says that it is committed, also of what a failover will lose. With plain `pg` the user sees a lost connection, and knows nothing. With Thaw it is told as
 * stored only once the standby has it.
 */

import { IDEMPOTENCY_SQL, type Pool, ReplicationUnconfirmedError } from '@thaw/pg'
import type { StandbyServer } from '@thaw/testkit'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { activeBackends, failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting()
let standby: StandbyServer
let primaryAddress: string

const config = async (server: { query(text: string): Promise<unknown> }, text: string) => {
  await server.query(`ALTER SYSTEM ${text}`)
  await server.query('SELECT pg_reload_conf()')
}
const followers = async () => (await setting.server.query('SELECT FROM pg_stat_replication')).rowCount
const part = async () => {
  await vi.waitFor(async () => expect(await followers()).toBe(1), 10_000)
  await config(standby, "SET primary_conninfo = ''")
  await vi.waitFor(async () => expect(await followers()).toBe(0), 10_000)
}
const join = () => config(standby, `SET primary_conninfo = '${primaryAddress}'`)
/** How many sessions wait for the standby. */
const waiting = async () => (await setting.server.query("SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'")).rowCount

const endWaits = (how: string) => setting.server.query(`SELECT ${how}(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`)

/** From now on COMMIT waits: once the checkpointer has taken note of it. */
const demand = async () => {
  await config(setting.server, "SET synchronous_standby_names = '*'")
  for (let doesWait = false; !doesWait; ) {
    let isOver = false
    const probe = setting.server.query("SELECT pg_logical_emit_message(true, 'test', '')").then(() => {
      isOver = true
    })
    await vi.waitFor(async () => {
      doesWait = (await waiting()) === 1
      expect(doesWait || isOver).toBe(true)
    }, 10_000)
    await endWaits('pg_cancel_backend')
    await probe
  }
}

beforeAll(async () => {
  await setting.server.query(IDEMPOTENCY_SQL)
  standby = await setting.server.startStandby()
  primaryAddress = (await standby.query<{ primary_conninfo: string }>('SHOW primary_conninfo')).rows[0]?.primary_conninfo ?? ''
})
afterEach(async () => {
  await config(setting.server, 'RESET synchronous_standby_names')
  await join()
})
afterAll(() => standby.close())

const KINDS: Readonly<Record<string, (pool: Pool, token: string) => Promise<unknown>>> = {
  transaction: (pool, token) => pool.transaction((client) => client.query(INSERT, [token])),
  once: (pool, token) => pool.query({ text: INSERT, values: [token], once: true }),
  batch: (pool, token) => pool.batch([{ text: INSERT, values: [token] }], { once: false }),
  'batch under a key of its own': (pool, token) => pool.batch([{ text: INSERT, values: [token] }]),
  'batch once': (pool, token) => pool.batch([{ text: INSERT, values: [token] }], { once: true }),
  key: (pool, token) => pool.query({ text: INSERT, values: [token], idempotencyKey: token }),
}

interface Written {
  readonly token: string
  readonly pool: Pool
  readonly done: Promise<unknown>
}

/** One of each kind, all of which wait for the standby. */
async function writeAll(how: string, { query_timeout, options }: Ways = {}): Promise<readonly Written[]> {
  const pools = Object.keys(KINDS).map(() => setting.thaw({ max: 2, ...(query_timeout && { query_timeout }), ...(options && { options }) }))
  for (const pool of pools) await pool.transaction((client) => client.query('SELECT 1 FROM thaw_idempotency'))
  await demand()
  const written = Object.entries(KINDS).map(([kind, write], at) => {
    const pool = pools[at] as Pool
    const token = `${how}: ${kind}`
    const done = write(pool, token).then(
      () => 'stored',
      (error: Error) => error,
    )
    return { token, pool, done }
  })
  if (!query_timeout) await vi.waitFor(async () => expect(await waiting()).toBe(written.length), 5_000)
  return written
}

interface Ways {
  readonly query_timeout?: number
  readonly options?: string
}

const ENDS: readonly [string, Ways, () => unknown][] = [
  ['its connection is reset', {}, () => setting.proxy.cut('rst')],
  ['its backend is ended', {}, () => endWaits('pg_terminate_backend')],
  ['its query_timeout is up', { query_timeout: 500 }, () => {}],
  ['its query_timeout is up, in sessions that send no warnings', { query_timeout: 500, options: '-c client_min_messages=error' }, () => {}],
]

describe.each(ENDS)('COMMIT waits for a standby that is gone, and %s', (how, ways, end) => {
  test('while it stays away nothing is told as stored; asked again once it is back, all is', async () => {
    await part()
    const written = await writeAll(how, ways)
    end()
    for (const { token, done } of written) {
      const told = await done
      expect.soft(told, token).toBeInstanceOf(ReplicationUnconfirmedError)
      expect.soft(told, token).toMatchObject({ outcome: 'executed', retryable: false })
      expect.soft(await setting.rows(token), token).toBe(1)
    }
    // Nothing is left behind that waits.
    expect(await waiting()).toBe(0)
    await join()
    for (const { pool, done } of written) expect(await pool.outcome(await done)).toBe('executed')
  })

  test('it comes back meanwhile: stored, and so it is told', async () => {
    await part()
    const written = await writeAll(`back, ${how}`, ways)
    end()
    await new Promise((resolve) => setTimeout(resolve, 2_000))
    await join()
    for (const { token, done } of written) expect.soft(await done, token).toBe('stored')
    await standby.catchUp()
    for (const { token } of written) {
      const { rowCount } = await standby.query('SELECT FROM ledger WHERE token = $1', [token])
      expect(rowCount, token).toBe(1)
    }
  })
})

test('what another call has stored under a key, of which the standby has heard nothing, is not told as repeated', async () => {
  await part()
  await demand()
  const write = (pool: { query(config: object): Promise<unknown> }) =>
    pool.query({ text: INSERT, values: ['twice'], idempotencyKey: 'twice' })
  const first = write(setting.thaw())
  const [pid] = await activeBackends(setting.server, 1)
  const told = failure(first)
  await setting.server.query('SELECT pg_cancel_backend($1)', [pid])
  const pool = setting.thaw()
  expect(await failure(write(pool))).toBeInstanceOf(ReplicationUnconfirmedError)
  expect(await told).toBeInstanceOf(ReplicationUnconfirmedError)
  await join()
  expect(await write(pool)).toMatchObject({ repeated: true })
  expect(await setting.rows('twice')).toBe(1)
})

test('a COMMIT that an administrator cancels is answered as if it were stored: with plain pg it is told so', async () => {
  await part()
  await demand()
  const cancel = async <Result>(done: Promise<Result>): Promise<Result> => {
    const [pid] = await activeBackends(setting.server, 1)
    await setting.server.query('SELECT pg_cancel_backend($1)', [pid])
    return done
  }
  expect(await cancel(setting.plain().query(INSERT, ['plain']))).toMatchObject({ rowCount: 1 })
  for (const kind of ['transaction', 'batch']) {
    const pool = setting.thaw()
    const error = await cancel(failure(KINDS[kind]?.(pool, `canceled ${kind}`) as Promise<unknown>))
    expect(error).toBeInstanceOf(ReplicationUnconfirmedError)
    expect(await setting.rows(`canceled ${kind}`)).toBe(1)
  }
})

// The last one: its standby is a primary from then on.
test('a failover loses it, and it was not told as stored', async () => {
  await part()
  const [written] = await writeAll('failed over')
  setting.proxy.cut('rst')
  const error = await written?.done
  expect(error).toBeInstanceOf(ReplicationUnconfirmedError)
  setting.proxy.moveTo(standby)
  await standby.promote()
  expect((await standby.query('SELECT FROM ledger WHERE token = $1', [written?.token])).rowCount).toBe(0)
  await config(standby, 'RESET synchronous_standby_names')
  expect(await written?.pool.outcome(error)).toBe('not-executed')
})
