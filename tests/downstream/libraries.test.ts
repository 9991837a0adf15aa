/**
 * Every library that takes a pool, on a connection that dies between two uses of it.
 *
 * What plain `pg` has not heard of, because a NAT or a host has forgotten the connection, fails its next use in each of them. What it hears of ends
 * the process, unless the library listens. On Thaw neither is noticed, and nothing is written twice.
 */

import * as thaw from '@thaw/pg'
import { terminateSessions } from '@thaw/testkit'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { proxy, server, useFreshProxy } from '../faults/fresh-proxy.ts'
import { discard } from '../faults/side-by-side.ts'
import { until } from '../faults/until.ts'
import { type Behind, LIBRARIES, type Library, SEQUELIZE } from './libraries.ts'

useFreshProxy()

const APP = 'libraries'

let pools: pg.Pool[]
let uncaught: unknown[]
const catchIt = (error: unknown) => void uncaught.push(error)

beforeEach(async () => {
  pools = []
  uncaught = []
  process.on('uncaughtException', catchIt)
  for (const schema of ['public', 'pgboss', 'graphile_worker']) await server.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
  await server.query('CREATE SCHEMA public')
  await server.query('CREATE TABLE notes (id serial PRIMARY KEY, text text)')
})
afterEach(async () => {
  process.off('uncaughtException', catchIt)
  await Promise.all(pools.map((pool) => (pool.ended || pool.ending ? undefined : pool.end())))
})

function behind(name: 'pg' | 'Thaw'): Behind {
  const config: pg.PoolConfig = { connectionString: proxy.urlFor(server.url), max: 2, application_name: APP }
  if (name === 'Thaw') Object.assign(config, { trustMillis: 0 })
  const module: Behind['module'] = name === 'pg' ? pg : thaw
  class Pool extends module.Pool {
    constructor(options?: pg.PoolConfig) {
      super(options)
      pools.push(this)
    }
  }
  return { module: { ...module, Pool }, config, pool: () => new Pool(config) }
}

async function written({ count }: Library): Promise<number | undefined> {
  return (await server.query<{ count: number }>(count)).rows[0]?.count
}

const allClosed = () => until('every connection is closed', () => proxy.flows.every(({ state }) => state === 'closed'))

const STRIKES: readonly { readonly name: string; readonly strike: () => Promise<void> }[] = [
  {
    name: 'a FIN',
    async strike() {
      expect(proxy.cut('fin')).toBeGreaterThan(0)
      await allClosed()
    },
  },
  {
    name: 'an RST',
    async strike() {
      expect(proxy.cut('rst')).toBeGreaterThan(0)
      await allClosed()
    },
  },
  {
    name: 'pg_terminate_backend',
    async strike() {
      expect(await terminateSessions(server, APP)).toBeGreaterThan(0)
      await allClosed()
    },
  },
  {
    name: 'a restart of the server',
    async strike() {
      await server.restart()
      await allClosed()
    },
  },
  {
    name: 'a NAT that forgets it',
    async strike() {
      expect(proxy.cut('rst-on-next-byte')).toBeGreaterThan(0)
    },
  },
  {
    name: 'a firewall that drops what comes',
    async strike() {
      expect(proxy.cut('drop')).toBeGreaterThan(0)
    },
  },
]

describe.for(LIBRARIES)('$name', (library) => {
  test('on node-postgres fails where a NAT has forgotten its idle connection', async () => {
    const { write, close } = await library.open(behind('pg'))
    await write('before')
    expect(pools.map((pool) => pool.listenerCount('error') > 0)).toEqual([library.listens])
    for (const pool of pools) pool.on('error', () => {})
    proxy.cut('rst-on-next-byte')
    await expect(write('lost')).rejects.toThrow()
    expect(await written(library)).toBe(1)
    const held = pools.some((pool) => pool.totalCount > pool.idleCount)
    expect(held).toBe(library.keepsPlace ?? false)
    await Promise.all(pools.map(discard))
    // Some end the pool once more. What counts is that their timers stop: a heartbeat on a pool that is gone would be an error of the next test.
    await close?.().catch(() => {})
  })

  test('on Thaw notices none of its idle connections die', async () => {
    const { write, close } = await library.open(behind('Thaw'))
    await write('before')
    for (const { name, strike } of STRIKES) {
      await strike()
      await expect(write(name.replaceAll(' ', '-')), name).resolves.not.toThrow()
    }
    expect(await written(library)).toBe(1 + STRIKES.length)
    expect(uncaught).toEqual([])
    await close?.()
  })
})

describe('Sequelize, whose own pool hands out whatever it has', () => {
  test.for([
    ['pg', 'ECONNRESET'],
    ['Thaw', '08007'],
  ] as const)('fails once on %s, with %s, and goes on', async ([name, code]) => {
    const { write, close } = await SEQUELIZE.open(behind(name))
    await write('before')
    proxy.cut('rst-on-next-byte')
    await expect(write('lost')).rejects.toMatchObject({ parent: { code } })
    await write('after')
    expect(await written(SEQUELIZE)).toBe(2)
    expect(uncaught).toEqual([])
    await close?.()
  })
})
