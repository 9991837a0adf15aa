/** `onConnect` takes long, or its connection dies or falls silent under it, over WebSocket. */

import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { neon, useOneNeon } from '../test/one-neon.ts'
import { Pool, type PoolClient, type PoolConfig } from './index.ts'

useOneNeon()

const PATIENCE = { timeout: 20_000 }
const read = async (pool: Pool) => (await pool.query('SELECT 1 AS one')).rows
const told = (asked: Promise<unknown>) => asked.catch((error: Error) => error.message)

function create(onConnect: (client: PoolClient, run: number) => unknown, config: PoolConfig = {}) {
  let runs = 0
  const errors: string[] = []
  const pool = new Pool({
    connectionString: neon.url,
    max: 1,
    onConnect: (client: PoolClient) => onConnect(client, ++runs),
    ...config,
  } as PoolConfig)
  pool.on('error', ({ message }: Error) => errors.push(message))
  onTestFinished(() => pool.end({ timeoutMillis: 1000 }))
  return { pool, errors, runs: () => runs }
}

async function expectNothingLeft(pool: Pool): Promise<void> {
  const held = await pool.connect()
  const waiting = read(pool)
  await sleep(50)
  expect([pool.totalCount, pool.waitingCount]).toEqual([1, 1])
  held.release()
  expect(await waiting).toEqual([{ one: 1 }])
}

test('one that takes long is run once', PATIENCE, async () => {
  const { pool, errors, runs } = create(async (client) => {
    await sleep(1300)
    await client.query('SELECT pg_sleep(1.5)')
  })
  expect(await read(pool)).toEqual([{ one: 1 }])
  expect([runs(), errors]).toEqual([1, []])
})

test.each([true, false])('its connection falls silent, hedge: %s: another one serves its callers', PATIENCE, async (hedge) => {
  const { pool } = create(
    (client, run) => {
      if (run === 1) neon.compute.cut('drop')
      return client.query('SELECT 1')
    },
    { hedge },
  )
  expect(await read(pool)).toEqual([{ one: 1 }])
  await expectNothingLeft(pool)
})

test.each(['rst', 'drop'] as const)(
  'it rejects on a connection that is lost (%s): its caller is told, and nothing is left',
  PATIENCE,
  async (how) => {
    const { pool } = create(async (_, run) => {
      if (run > 1) return
      neon.compute.cut(how)
      await sleep(50)
      throw new Error('of the hook')
    })
    expect(await told(read(pool))).toBe('of the hook')
    expect(await read(pool)).toEqual([{ one: 1 }])
    await expectNothingLeft(pool)
  },
)
