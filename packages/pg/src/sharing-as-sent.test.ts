/** A read shares a connection if what is sent may, whatever its caller has done to its configuration since it was judged. */

import { describe, expect, test } from 'vitest'
import { ask, createPool, PATIENCE, pool, server, TEN, useSharingWorld } from '../test/sharing-world.ts'

useSharingWorld()

const TEXT = 'select $1::int as n'
const numbersOf = ({ rows }: { rows: { n: number }[] }) => rows.map(({ n }) => n)

describe('a configuration that is changed while its statement waits for a connection', () => {
  const WRITE = 'insert into written values ($1) returning n'

  test.each([
    ['rows', { rows: 1 }],
    ['portal', { portal: 'mine' }],
    ['name', { name: 'mine' }],
    ['text', { text: WRITE }],
  ] as const)('%s: each has its own row', PATIENCE, async (member, change) => {
    await server.query('drop table if exists written; create table written (n int)')
    createPool({ hedge: false })
    const configs = TEN.map((n) => ({ text: TEXT, values: [n] }))
    const answers = configs.map((config) => pool.query(config))
    for (const config of configs) if (config.values[0] !== 1) Object.assign(config, change)
    expect((await Promise.all(answers)).map(numbersOf)).toEqual(TEN.map((n) => [n]))
    expect((await Promise.all(TEN.map(ask))).map(({ rows }) => rows[0].n)).toEqual(TEN)
    const written = (await server.query('select n from written order by n')).rows.map(({ n }) => n)
    expect(written).toEqual(member === 'text' ? TEN.filter((n) => n !== 1) : [])
  })
})

test.each([
  ['rows', { rows: 1 }],
  ['a write', { text: 'insert into written values ($1) returning n, pg_sleep(0.05)' }],
])('%s is sent, and its configuration has become a plain read: no other goes out behind it', PATIENCE, async (_, sent) => {
  await server.query('drop table if exists written; create table written (n int)')
  createPool({ hedge: false })
  await pool.query('select 1')
  const config: { text: string; values: number[]; rows?: number } = {
    text: `${TEXT}, pg_sleep(0.05) from generate_series(1, 3)`,
    values: [41],
    ...sent,
  }
  const first = pool.query(config)
  config.text = TEXT
  config.rows = 0
  const others = TEN.map(ask)
  expect(new Set(numbersOf(await first))).toEqual(new Set([41]))
  expect((await Promise.all(others)).map(({ rows }) => rows[0].n)).toEqual(TEN)
})
