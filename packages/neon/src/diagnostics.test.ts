/** What is published on channels, with Neon's driver: the same as with pg. More of it in packages/pg/src/diagnostics.test.ts. */

import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { expect, test } from 'vitest'
import { neon, useOneNeon } from '../test/one-neon.ts'
import { logTo, Pool } from './index.ts'

useOneNeon()

test('statements, connects, waits and events', async () => {
  const told: string[] = []
  const undo: (() => unknown)[] = []
  for (const name of ['pg:query', 'pg:connection', 'pg:pool:connect']) {
    const on = (step: string) => () => void told.push(`${name} ${step}`)
    const subscribers = { start: on('start'), end() {}, asyncStart() {}, asyncEnd: on('end'), error: on('error') }
    const channel = tracingChannel(name)
    channel.subscribe(subscribers)
    undo.push(() => channel.unsubscribe(subscribers))
  }
  const listener = () => void told.push('acquired')
  subscribe('thaw:acquired', listener)
  const pool = new Pool({ connectionString: neon.url })
  await pool.query('select 1')
  expect(told).toEqual([
    'pg:pool:connect start',
    'pg:connection start',
    'acquired',
    'pg:query start',
    // Once the callback has returned that got the connection, as with Node's traceCallback.
    'pg:pool:connect end',
    'pg:connection end',
    'pg:query end',
  ])
  const client = await pool.connect()
  told.length = 0
  await client.query('select 2')
  await client.query('select nothing').catch(() => {})
  expect(told).toEqual(['pg:query start', 'pg:query end', 'pg:query start', 'pg:query error', 'pg:query end'])
  client.release()
  for (const one of undo) one()
  unsubscribe('thaw:acquired', listener)
  told.length = 0
  await pool.query('select 3')
  expect(told).toEqual([])
  pool.subscribe(logTo(console))
  await pool.end()
})
