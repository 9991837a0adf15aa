/**
 * What Thaw tells of writes whose request or answer is lost in silence behind a pooler. Its PIDs are made up, so no statement can be asked about: `query_timeout` ends the wait, and then the
 * server, or the table of keys, is asked what became of it.
 */

import assert from 'node:assert/strict'
import type { Pool } from '@thaw/pg'
import type { PostgresServer } from '@thaw/testkit'
import { type AnyPooler, type Kept, open } from './promises.ts'

/** The user's own bound. Long enough for six side by side on a busy machine. */
const BOUND_MILLIS = 3_000

const insert = (token: string) => ({ text: 'insert into silent_ledger values ($1) returning token', values: [token] })

interface Write {
  /** A text in the message that is lost, or whose answer is. */
  readonly containing: string
  run(pool: Pool, token: string): Promise<unknown>
}

const WRITES: Readonly<Record<string, Write>> = {
  'a transaction, at COMMIT': { containing: 'COMMIT\0', run: transaction },
  'a transaction, in its first flight': { containing: 'insert into silent_ledger', run: transaction },
  'once, at COMMIT': { containing: 'COMMIT\0', run: once },
  'once, in its first flight': { containing: 'insert into silent_ledger', run: once },
  'a key': {
    containing: 'insert into silent_ledger',
    run: async (pool, token) => (await pool.query({ ...insert(token), idempotencyKey: token })).rows,
  },
  'a batch, where the table of keys is there': {
    containing: 'insert into silent_ledger',
    run: async (pool, token) => (await pool.batch([insert(token)]))[0]?.rows,
  },
}

async function transaction(pool: Pool, token: string): Promise<unknown> {
  return pool.transaction(async (client) => (await client.query(insert(token))).rows)
}

async function once(pool: Pool, token: string): Promise<unknown> {
  return (await pool.query({ ...insert(token), once: true })).rows
}

/** Told done and stored, or told that its time was up and not stored. */
async function isTold(
  pooler: AnyPooler,
  server: PostgresServer,
  name: string,
  lose: 'loseNextRequest' | 'loseNextAnswer',
  isHeld: boolean,
) {
  await using scene = await open(pooler, server, { max: 2, query_timeout: BOUND_MILLIS })
  const { containing, run } = WRITES[name] as Write
  // It finds the table of keys.
  await scene.pool.transaction((client) => client.query('select 1'))
  const token = `${name}: ${lose}, ${isHeld}`
  const lost = scene.proxy[lose]({ containing, cut: 'drop', server: isHeld ? 'hold' : 'close' })
  const told = await run(scene.pool, token).catch(({ name: kind }: Error) => kind)
  await lost.struck
  const isStored = (await server.query('select from silent_ledger where token = $1', [token])).rowCount
  assert.deepEqual([token, isStored, told], isStored ? [token, 1, [{ token }]] : [token, 0, 'DeadlineError'])
  // What was at work before its end was sent is not stored; what was answered is.
  if (lose === 'loseNextRequest' || name.endsWith('flight')) assert.equal(isStored, 0, token)
  else assert.equal(isStored, 1, token)
}

async function isUnknown(pooler: AnyPooler, server: PostgresServer): Promise<void> {
  await using scene = await open(pooler, server, { max: 2, query_timeout: BOUND_MILLIS })
  const lost = scene.proxy.loseNextAnswer({ containing: 'insert into silent_ledger', cut: 'drop' })
  const told = await scene.pool.batch([insert('plain')], { once: false }).then(String, (error: Error) => error)
  await lost.struck
  assert.equal((told as Error).name, 'OutcomeUnknownError')
}

/** Each by its name. Side by side: the pooler needs a session for each, and one more to ask. */
export const SILENCE_PROMISES: Readonly<Record<string, Kept>> = {
  async 'silence ends by query_timeout, and the truth is told'(pooler, server) {
    await server.query('create table silent_ledger (token text)')
    {
      await using scene = await open(pooler, server)
      await scene.pool.createIdempotencyTable()
    }
    const ways = (['loseNextRequest', 'loseNextAnswer'] as const).flatMap((lose) => [true, false].map((isHeld) => ({ lose, isHeld })))
    // All at once they need more sessions than there are.
    for (const { lose, isHeld } of ways) await Promise.all(Object.keys(WRITES).map((name) => isTold(pooler, server, name, lose, isHeld)))
    await isUnknown(pooler, server)
    await server.query('drop table silent_ledger, thaw_idempotency')
  },
}
