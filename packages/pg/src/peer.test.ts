import { isStock, saysLost } from '@thaw/pool'
import pg from 'pg'
import { expect, test } from 'vitest'
import { proxy, server, useOneServer } from '../test/one-server.ts'

useOneServer()

test('pg says in the words we know that a connection has ended', async () => {
  const client = new pg.Client(proxy.urlFor(server.url))
  await client.connect()
  const error = new Promise<Error>((resolve) => client.once('error', resolve))
  proxy.cut('fin')
  expect(saysLost(await error)).toBe(true)
})

test('pg and pg-pool say in the words we know that a dial took too long', async () => {
  await proxy.deafen()
  const connectionString = proxy.urlFor(server.url)
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 20 })
  expect(saysLost(await client.connect().catch((error) => error))).toBe(true)
  const pool = new pg.Pool({ connectionString, connectionTimeoutMillis: 20 })
  expect(saysLost(await pool.connect().catch((error) => error))).toBe(true)
  await proxy.accept()
})

test('an error with a code, or in other words, is not taken for one of these', () => {
  expect(saysLost(new Error('Connection terminated unexpectedly, or so'))).toBe(false)
  expect(saysLost(Object.assign(new Error('timeout expired'), { code: '57014' }))).toBe(false)
  expect(saysLost('timeout expired')).toBe(false)
})

test('the methods that tracing tools wrap are known for what they are', () => {
  expect(isStock('pool.connect', pg.Pool.prototype.connect)).toBe(true)
  expect(isStock('pool.query', pg.Pool.prototype.query)).toBe(true)
  expect(isStock('pool.end', pg.Pool.prototype.end)).toBe(true)
  expect(isStock('client.query', pg.Client.prototype.query)).toBe(true)
})

test('a wrapper is not, nor a method that has something put in front of its own code', () => {
  const { connect } = pg.Pool.prototype
  expect(isStock('pool.connect', (callback: never) => connect.call(undefined as never, callback))).toBe(false)
  const rewritten = {
    connect(this: { newClient(): void; ending: boolean }) {
      const context = { self: this }
      if (this.ending) return context
      return this.newClient()
    },
  }
  expect(isStock('pool.connect', rewritten.connect)).toBe(false)
})
