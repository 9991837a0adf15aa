/** A statement that is nothing but a comment is answered by EmptyQueryResponse, in place of CommandComplete: a run goes on behind it as well. */

import { expect, test } from 'vitest'
import { ask, createPool, PATIENCE, pool, TEN, useSharingWorld } from '../test/sharing-world.ts'

useSharingWorld()

const ping = () => pool.query({ name: 'ping', text: '-- ping' })

test('in a run, with reads behind them: each has its own answer', PATIENCE, async () => {
  createPool({ hedge: false, max: 1 })
  // A run is of texts that are known to be quick.
  await pool.query('select 1')
  for (const one of [ping, () => ask(0)]) for (const _ of TEN) await Promise.all([one(), one()])
  const pings = TEN.slice(0, 4).map(ping)
  const reads = TEN.map(ask)
  expect((await Promise.all(pings)).map(({ rows }) => rows)).toEqual([[], [], [], []])
  expect((await Promise.all(reads)).map(({ rows }) => rows[0].n)).toEqual(TEN)
})

test('one of them is refused: the error is its own', PATIENCE, async () => {
  createPool({ hedge: false, max: 1 })
  await pool.query('select 1')
  for (const _ of TEN) await Promise.all([ping(), ping()])
  const calls = [ping(), pool.query({ name: 'ping', text: '-- ping', values: [1] }), ping(), ask(3)]
  const told = await Promise.allSettled(calls)
  expect(told.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
})
