/**
 * Drizzle on a pool of one connection: what is out, and what is to come.
 *
 * Its transaction takes a client, sends BEGIN, and in 0.45 gives the client back in a `finally` that begins after the BEGIN: when that fails, the client
 * is never given back. On node-postgres the place is lost for ever; Thaw frees it when the socket closes. 1.0 gives it back itself.
 */

import { ConnectionLostError, OutcomeUnknownError, Pool } from '@thaw/pg'
import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { sql as sqlRc } from 'drizzle-orm-rc'
import { drizzle as drizzleRc } from 'drizzle-orm-rc/node-postgres'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { proxy, server, useFreshProxy } from '../faults/fresh-proxy.ts'

useFreshProxy()

/** A database on the pool, as one of them makes it. The classes of the other differ in type alone. */
const VERSIONS = [
  { version: '0.45', open: (client: pg.Pool) => drizzle({ client }), sql, keepsPlace: true },
  {
    version: '1.0',
    open: (client: pg.Pool) => drizzleRc({ client }) as unknown as ReturnType<typeof drizzle>,
    sql: sqlRc as unknown as typeof sql,
    keepsPlace: false,
  },
] as const

let pool: pg.Pool

beforeEach(async () => {
  await server.query('DROP TABLE IF EXISTS notes')
  await server.query('CREATE TABLE notes (text text)')
})

const config = () => ({ connectionString: proxy.urlFor(server.url), max: 1, connectionTimeoutMillis: 2_000 })

async function notes(): Promise<string[]> {
  const { rows } = await server.query<{ text: string }>('SELECT text FROM notes ORDER BY text')
  return rows.map((row) => row.text)
}

describe.for(VERSIONS)('a transaction of Drizzle $version', ({ open, sql, keepsPlace }) => {
  /** Writes a note in a transaction that may be hurt half way. */
  async function note(text: string, hurt?: () => void): Promise<void> {
    await open(pool).transaction(async (tx) => {
      await tx.execute(sql`INSERT INTO notes VALUES (${text})`)
      hurt?.()
      await tx.execute(sql`INSERT INTO notes VALUES (${text})`)
    })
  }

  /** Cuts the connection, and begins a transaction on it before the news of that can arrive. */
  async function beginOnDeadConnection(): Promise<void> {
    await open(pool).execute(sql`SELECT 1`)
    expect(proxy.cut('rst')).toBe(1)
    await expect(note('lost')).rejects.toThrow('begin')
  }

  describe('on node-postgres', () => {
    test(`${keepsPlace ? 'keeps' : 'gives back'} the place of a connection that died before BEGIN`, async () => {
      pool = new pg.Pool(config())
      // Without this, the death of a client in use would end this process.
      pool.on('connect', (client) => client.on('error', () => {})).on('error', () => {})
      await beginOnDeadConnection()
      const next = note('next')
      if (keepsPlace) await expect(next).rejects.toThrow('timeout exceeded when trying to connect')
      else await next
      expect(await notes()).toEqual(keepsPlace ? [] : ['next', 'next'])
    })
  })

  describe('on Thaw', () => {
    beforeEach(() => {
      pool = new Pool(config())
    })
    afterEach(() => pool.end())

    test('commits', async () => {
      await note('kept')
      expect(await notes()).toEqual(['kept', 'kept'])
    })

    test('does not notice that its connection died before', async () => {
      await pool.end()
      pool = new Pool({ ...config(), trustMillis: 0 })
      await note('before')
      expect(proxy.cut('rst')).toBe(1)
      await note('after')
      expect(await notes()).toEqual(['after', 'after', 'before', 'before'])
    })

    test('gives back the place of a connection that died before BEGIN', async () => {
      await beginOnDeadConnection()
      await note('next')
      expect(await notes()).toEqual(['next', 'next'])
    })

    test('passes on what became of a lost statement, as the cause of its own error', async () => {
      const lost = proxy.loseNextAnswer({ containing: 'notes' })
      const unknown = await open(pool)
        .execute(sql`INSERT INTO notes VALUES ('stored')`)
        .catch((error: Error) => error)
      await lost.struck
      expect((unknown as Error).cause).toBeInstanceOf(OutcomeUnknownError)
      expect((unknown as Error).cause).toMatchObject({ code: '08007', retryable: false })
      expect(await notes()).toEqual(['stored'])

      const rolledBack = await note('lost', () => proxy.loseNextAnswer({ containing: 'notes' })).catch((error: Error) => error)
      expect((rolledBack as Error).cause).toBeInstanceOf(ConnectionLostError)
      expect((rolledBack as Error).cause).toMatchObject({ outcome: 'not-executed', retryable: true })
      expect(await notes()).toEqual(['stored'])
    })

    for (const kind of ['fin', 'rst'] as const) {
      test(`gives back the place of a connection that died half way, by ${kind}`, async () => {
        await expect(note('lost', () => expect(proxy.cut(kind)).toBe(1))).rejects.toThrow()
        await note('next')
        expect(await notes()).toEqual(['next', 'next'])
      })
    }
  })
})
