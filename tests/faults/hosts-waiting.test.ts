/**
 * Several hosts, and none of them is right yet: a failover is under way.
 *
 * What breaks: the old primary's name is gone, or nothing answers there, and the standby is not promoted yet. A failure of the last host must not end the
 * wait as a typing error would, when another host has answered; and the error has to tell what was wrong with each of them.
 */

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Pool, type PoolConfig } from '@thaw/pg'
import { createFakeClock, failDns } from '@thaw/testkit'
import { afterEach, expect, test } from 'vitest'
import { failure, useSetting } from './setting.ts'
import { until } from './until.ts'

const setting = useSetting()
const GONE = 'db-0.example.test'
/** No server listens there. */
const DOWN = '127.0.0.1:1'
const pools: Pool[] = []

/** Not through the proxy: an address that has never answered before in this process. */
function over(hosts: readonly string[], attrs: string, config: PoolConfig = {}): Pool {
  const { user, password, database } = setting.server
  const pool = new Pool({
    connectionString: `postgres://${user}:${password}@${hosts}/${database}?target_session_attrs=${attrs}`,
    ...config,
  })
  pools.push(pool)
  return pool
}

const right = () => `${setting.server.host}:${setting.server.port}`

/** The error of a caller whose time passes as soon as each host has been tried. */
async function inVain(hosts: readonly string[], attrs: string): Promise<Error> {
  const clock = createFakeClock()
  // For a clock that runs fast, every login is late: another one beside it would go to the next host before this one has answered.
  const pool = over(hosts, attrs, { clock, hedge: false, connectionTimeoutMillis: 3_600_000 })
  let attempts = 0
  pool.subscribe(({ type }) => type === 'retried' && attempts++)
  const error = failure(pool.query('SELECT 1'))
  await until('each host was tried', () => {
    clock.advance(100)
    return attempts > hosts.length
  })
  clock.advance(3_600_000)
  return error
}

afterEach(() => Promise.all(pools.splice(0).map((pool) => pool.end())))

test('a host whose name is gone, or that refuses, does not end the wait if another one has answered', async () => {
  using _dns = failDns({ host: GONE, times: Number.POSITIVE_INFINITY, code: 'ENOTFOUND' })
  const since = performance.now()
  let isOver = false
  const answers = [GONE, DOWN].map(async (wrong) => {
    const pool = over([right(), wrong], 'read-only', { connectionTimeoutMillis: 60_000 })
    try {
      return (await pool.query('SHOW transaction_read_only')).rows[0]
    } finally {
      isOver = true
    }
  })
  const settled = Promise.allSettled(answers)
  // For a typing error it would end after 800 ms.
  await until('it has waited for longer', () => isOver || performance.now() - since > 2000)
  try {
    await setting.server.query('ALTER SYSTEM SET default_transaction_read_only = on')
    await setting.server.query('SELECT pg_reload_conf()')
    const value = { transaction_read_only: 'on' }
    expect(await settled).toEqual([1, 2].map(() => ({ status: 'fulfilled', value })))
  } finally {
    await setting.server.query('ALTER SYSTEM RESET default_transaction_read_only')
    await setting.server.query('SELECT pg_reload_conf()')
  }
})

test('nor while the login at another one takes its time', async () => {
  using dns = failDns({ host: GONE, times: Number.POSITIVE_INFINITY, code: 'ENOTFOUND' })
  const held: Socket[] = []
  const slow = createServer({ pauseOnConnect: true }, (socket) => held.push(socket.on('error', () => {}))).listen(0, '127.0.0.1')
  await once(slow, 'listening')
  const clock = createFakeClock()
  const pool = over([`127.0.0.1:${(slow.address() as AddressInfo).port}`, GONE], 'any', { clock, connectionTimeoutMillis: 3_600_000 })
  const answer = pool.query('SELECT 1 AS one')
  let isOver = false
  answer.catch(() => {
    isOver = true
  })
  // The second host is tried beside a login that takes longer than a second; a typing error would end the wait by now.
  await until('the second host was tried', () => {
    clock.advance(100)
    return isOver || (dns.lookups > 1 && held.length > 0)
  })
  for (const socket of held) socket.pipe(connect(setting.server.port, setting.server.host).on('error', () => {})).pipe(socket)
  expect((await answer).rows).toEqual([{ one: 1 }])
  for (const socket of held) socket.destroy()
  slow.close()
})

test('in the end the error tells what was wrong with each host', async () => {
  const { message } = await inVain([DOWN, right()], 'standby')
  expect(message).toContain(`${DOWN}: connect ECONNREFUSED ${DOWN}`)
  expect(message).toContain(`${right()}: the session is not on a standby (target_session_attrs=standby)`)
})

test('and if all of them are down', async () => {
  const error = await failure(over([DOWN, '127.0.0.1:2'], 'any').query('SELECT 1'))
  expect(error).toMatchObject({ name: 'ConnectError', code: 'ECONNREFUSED' })
  expect(error.message).toContain(`${DOWN}: connect ECONNREFUSED ${DOWN}; 127.0.0.1:2: connect ECONNREFUSED 127.0.0.1:2`)
})

test('with one host the error tells that its session is of the wrong kind', async () => {
  const { message } = await inVain([right()], 'standby')
  expect(message).toContain('Reached the server, but the session is not on a standby (target_session_attrs=standby).')
})
