/**
 * The client of `pool.transaction()`, in the hands of code that was written for a client of `pg`.
 *
 * What breaks: nothing of the network. Its function has default parameters, and replaces `client.query`, as the documentation of node-postgres shows. With plain `pg` the wrapper stays on the
 * connection; with Thaw it lasts as long as the transaction.
 */

import { Pool as NeonPool } from '@thaw/neon'
import { Pool } from '@thaw/pg'
import stock from 'pg'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'

useOneNeon()

type Client = Parameters<Parameters<Pool['transaction']>[0]>[0]
type Loose = Record<string, unknown> & { query(...values: unknown[]): Promise<unknown> }

let pool: Pool

beforeAll(() => neon.postgres.query('CREATE TABLE told (token text)'))
afterEach(async () => {
  await pool.end({ timeoutMillis: 1000 })
  await neon.postgres.query('TRUNCATE told')
})

const told = async () => (await neon.postgres.query('SELECT token FROM told ORDER BY 1')).rows.map(({ token }) => token)

/** As "project structure" of node-postgres' documentation has it. */
function remember(client: Loose): void {
  const { query } = client
  client.query = (...values) => {
    client.lastQuery = values
    return query.apply(client, values)
  }
}

describe.each([
  ['@thaw/pg', () => new Pool({ connectionString: neon.postgres.url, max: 1 })],
  ['@thaw/neon', () => new NeonPool({ connectionString: neon.url, max: 1 }) as unknown as Pool],
])('%s', (_driver, create) => {
  test('its function is given the client, and nothing else', async () => {
    pool = create()
    const given: unknown[][] = []
    await pool.transaction(async (...values: [Client]) => {
      given.push(values)
      await values[0].transaction(async (...inner) => void given.push(inner))
    })
    expect(given.map(({ length }) => length)).toEqual([1, 1])
  })

  test('a wrapper around its query works, and ends with the transaction', async () => {
    pool = create()
    const seen = await pool.transaction(async (client) => {
      const loose = client as unknown as Loose
      remember(loose)
      await client.query("INSERT INTO told VALUES ('a')")
      await client.query('INSERT INTO told VALUES ($1)', ['b'])
      return loose.lastQuery
    })
    expect(seen).toEqual(['INSERT INTO told VALUES ($1)', ['b']])
    expect(await told()).toEqual(['a', 'b'])
    expect(await pool.query('SELECT 1')).toMatchObject({ rowCount: 1 })
    const client = (await pool.connect()) as unknown as Loose & { release(): void }
    expect([Object.hasOwn(client, 'query'), 'lastQuery' in client]).toEqual([false, false])
    client.release()
  })

  test('what is set on it is read, seen in its parts, and can be taken back', async () => {
    pool = create()
    await pool.transaction(async (client) => {
      const loose = client as unknown as Loose
      const { query } = loose
      Object.defineProperty(loose, 'query', { value: () => 'mine', configurable: true, writable: true })
      Object.assign(loose, { tenant: 'a', toString: () => 'me' })
      expect([loose.query(), loose.tenant, String(loose), 'tenant' in loose, Object.keys(loose).includes('tenant')]).toEqual([
        'mine',
        'a',
        'me',
        true,
        true,
      ])
      const derived = Object.create(loose)
      derived.tenant = 'derived'
      expect(loose.tenant).toBe('a')
      // The client's own again, and not that of the connection, which would know of no transaction.
      expect([Reflect.deleteProperty(loose, 'query'), loose.query === query]).toEqual([true, true])
      await client.query("INSERT INTO told VALUES ('whole')")
      await client.transaction(async (part) => {
        const inner = part as unknown as Loose
        expect([inner.tenant, inner.query === query]).toEqual(['a', false])
        inner.tenant = 'part'
        await part.query("INSERT INTO told VALUES ('part')")
      })
      expect(loose.tenant).toBe('a')
    })
    expect(await told()).toEqual(['part', 'whole'])
    const client = (await pool.connect()) as unknown as Loose & { release(): void }
    expect([client.tenant, Object.hasOwn(client, 'toString')]).toEqual([undefined, false])
    client.release()
  })

  test('it is still a client: its class, its events, its keys', async () => {
    pool = create()
    const events: string[] = []
    await pool.transaction(async (client) => {
      expect(client instanceof stock.Client || _driver === '@thaw/neon').toBe(true)
      expect('connection' in client && Object.keys(client).includes('connection')).toBe(true)
      client.once('notice', ({ message }) => void events.push(message ?? ''))
      await client.query("DO $$ BEGIN RAISE NOTICE 'hello'; END $$")
    })
    expect(events).toEqual(['hello'])
  })
})
