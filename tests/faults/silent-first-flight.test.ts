/**
 * A write that is applied once falls silent, on a connection of which nothing is known yet, and its backend is gone.
 *
 * What breaks: a NAT forgets the connection on the way of the answer, and the server has closed it. No byte is left to send, so no RST comes. With plain `pg` the call hangs for ever, as does a
 * plain write with Thaw: that a backend is not found proves nothing. But a call with a key is settled by the table of keys, whatever has become of its statement.
 */

import { Pool as NeonPool } from '@thaw/neon'
import type { Pool } from '@thaw/pg'
import { expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import { INSERT, useSetting } from './setting.ts'

useOneNeon()

const setting = useSetting({ authentication: 'trust' })
const PATIENCE = { timeout: 60_000 }
const SILENCE = { cut: 'drop', server: 'close' } as const

/** The key itself, in a batch, and in a batch that has a key of its own. */
const CALLS: Readonly<Record<string, (pool: Pool, token: string) => Promise<unknown>>> = {
  key: (pool, token) => pool.query({ text: `${INSERT} RETURNING token`, values: [token], idempotencyKey: token }),
  batch: (pool, token) => pool.batch([{ text: INSERT, values: [token] }], { idempotencyKey: token }),
}

test.each([
  ['@thaw/pg', (max: number) => setting.thaw({ max }), () => setting],
  [
    '@thaw/neon',
    (max: number) => new NeonPool({ connectionString: neon.url, max }) as unknown as Pool,
    () => ({ server: neon.postgres, proxy: neon.compute }),
  ],
])('under a key: it is settled, and stored once, on %s', PATIENCE, async (driver, create, where) => {
  const { server, proxy } = where()
  await server.query('CREATE TABLE IF NOT EXISTS ledger (token text NOT NULL)')
  await create(1).createIdempotencyTable()
  const calls = Object.entries(CALLS).flatMap(([name, call]) =>
    [false, true].map(async (isWarm) => {
      const pool = create(1)
      const token = `silent ${driver} ${name} ${isWarm}`
      await pool.query('SELECT 1')
      if (isWarm) await call(pool, `${token}, warm`)
      const lost = proxy.loseNextAnswer({ containing: `${token}\0`, ...SILENCE })
      await call(pool, token)
      await lost.struck
      expect((await server.query('SELECT FROM ledger WHERE token = $1', [token])).rowCount).toBe(1)
      await pool.end()
    }),
  )
  await Promise.all(calls)
})
