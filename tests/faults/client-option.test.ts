/**
 * node-postgres' own pool, which makes Thaw's `Client`: as a library does that makes its pool itself, and takes the class as an option.
 *
 * What breaks: an idle connection, or one under a write whose answer is lost. pg-pool listens for `error` on both. What it hears of an idle client, it emits on the pool: without a listener
 * there, that ends the process. What it hears during its own `query()`, it rejects with, ahead of the statement's own error: a raw ECONNRESET, which retry logic takes for "not executed".
 * With Thaw's `Client` the process goes on, and the write is told as unknown, with the same error for all who hear of it.
 */

import * as thaw from '@thaw/pg'
import { type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { failure } from './setting.ts'

const CLASSES = { pg: pg.Client, thaw: thaw.Client as unknown as typeof pg.Client }

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
  await server.query('create table orders (id int)')
})
afterAll(() => server.close())

describe.each(['fin', 'rst'] as const)('%s under a write whose answer is lost', (cut) => {
  async function write(driver: 'pg' | 'thaw', how: (pool: pg.Pool) => Promise<unknown>) {
    await server.query('truncate orders')
    await using proxy = await startFaultProxy(server)
    const pool = new pg.Pool({ connectionString: proxy.urlFor(server.url), Client: CLASSES[driver], max: 1 } as pg.PoolConfig)
    pool.on('error', () => {})
    try {
      await pool.query('select 1')
      proxy.loseNextAnswer({ containing: 'insert', cut })
      const error = await failure(how(pool))
      expect((await server.query('select from orders')).rowCount, 'it was executed').toBe(1)
      // The place is free, and the next caller is served.
      expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
      return error
    } finally {
      await pool.end()
    }
  }
  const INSERT = 'insert into orders values (1)'
  const UNKNOWN = { name: 'OutcomeUnknownError', code: '08007', outcome: 'unknown' }

  test('by query() of the pool', async () => {
    const byPool = (pool: pg.Pool) => pool.query(INSERT)
    expect(await write('pg', byPool)).not.toHaveProperty('outcome')
    expect(await write('thaw', byPool)).toMatchObject(UNKNOWN)
  })

  test('on a client that is acquired: its listener hears what its caller is told', async () => {
    const heard: Error[] = []
    const onClient = async (pool: pg.Pool) => {
      const client = await pool.connect()
      client.on('error', (error) => heard.push(error))
      return client.query(INSERT).finally(() => client.release(true))
    }
    const error = await write('thaw', onClient)
    expect(error).toMatchObject(UNKNOWN)
    expect(heard[0]).toBe(error)
  })
})

test('a listener that throws an error of its own is heard', async () => {
  const client = new thaw.Client(server.url)
  await client.connect()
  const own = new Error('own')
  const uncaught = new Promise((resolve) => {
    const others = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.once('uncaughtException', (error) => {
      for (const other of others) process.on('uncaughtException', other)
      resolve(error)
    })
  })
  client.once('error', () => {
    throw own
  })
  ;(client as unknown as { connection: { stream: { destroy(error: Error): void } } }).connection.stream.destroy(new Error('gone'))
  expect(await uncaught).toBe(own)
})
