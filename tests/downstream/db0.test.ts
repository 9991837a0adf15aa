/**
 * db0 on a connection that dies between two uses: its own connector keeps one client for ever, and with it whatever is dead; on a pool of Thaw it gets
 * a live one each time: libraries.test.ts. In the version of today, and in the one that Nitro 2 and 3 depend on.
 */

import { Pool as NeonPool, neonConfig } from '@thaw/neon'
import { Pool } from '@thaw/pg'
import { db0Connector } from '@thaw/pg/db0'
import { startNeon } from '@thaw/testkit'
import * as db0 from 'db0'
import postgresql from 'db0/connectors/postgresql'
import * as db0OfNitro from 'db0-of-nitro'
import postgresqlOfNitro from 'db0-of-nitro/connectors/postgresql'
import { beforeEach, describe, expect, test } from 'vitest'
import { proxy, server, useFreshProxy } from '../faults/fresh-proxy.ts'

useFreshProxy()

beforeEach(async () => {
  await server.query('DROP TABLE IF EXISTS notes')
  await server.query('CREATE TABLE notes (id serial PRIMARY KEY, text text)')
})

const url = () => proxy.urlFor(server.url)
const createPool = () => new Pool({ connectionString: url(), trustMillis: 0 })

const VERSIONS = [
  { version: '0.4', createDatabase: db0.createDatabase, own: postgresql },
  { version: '0.3', createDatabase: db0OfNitro.createDatabase as typeof db0.createDatabase, own: postgresqlOfNitro as typeof postgresql },
]

describe.for(VERSIONS)('db0 $version', ({ createDatabase, own }) => {
  test('on its own connector never recovers from a connection that a NAT has forgotten', async () => {
    const db = createDatabase(own({ url: url() }))
    const client = await db.getInstance()
    client.on('error', () => {})
    await db.sql`INSERT INTO notes (text) VALUES ('before')`
    proxy.cut('rst-on-next-byte')
    await expect(db.sql`INSERT INTO notes (text) VALUES ('lost')`).rejects.toThrow()
    await expect(db.sql`INSERT INTO notes (text) VALUES ('lost')`).rejects.toThrow('not queryable')
  })

  test('answers as its own connector does', async () => {
    const ways = []
    for (const connector of [own({ url: url() }), db0Connector(createPool())]) {
      await using db = createDatabase(connector as ReturnType<typeof own>)
      await db.exec('TRUNCATE notes RESTART IDENTITY')
      const insert = db.prepare('INSERT INTO notes (text) VALUES (?)')
      const { success } = await insert.bind('one').run()
      await insert.run('two')
      const find = db.prepare('SELECT text FROM notes WHERE id = $1')
      ways.push({
        success,
        all: await db.prepare('SELECT text FROM notes ORDER BY id').all(),
        first: await find.bind(9).bind(1).get(),
        none: await find.get(9),
        template: await db.sql`SELECT text FROM notes WHERE text = ${'two'}`,
        error: await db.exec('SELECT nonsense').catch((error: { code: string }) => error.code),
        names: [db.connector, db.dialect],
      })
    }
    expect(ways[1]).toEqual(ways[0])
    expect(ways[0]).toMatchObject({ first: { text: 'one' }, error: '42703' })
  })

  test('ends the pool with the database', async () => {
    const pool = createPool()
    const db = createDatabase(db0Connector(pool))
    expect(await db.getInstance()).toBe(pool)
    await db.dispose()
    expect(pool.ended).toBe(true)
  })
})

test('on a pool of @thaw/neon, whose connections are WebSockets, it notices none of them die', async () => {
  await using neon = await startNeon()
  Object.assign(neonConfig, neon.driver)
  await neon.postgres.query('CREATE TABLE notes (id serial PRIMARY KEY, text text)')
  await using db = db0.createDatabase(db0Connector(new NeonPool({ connectionString: neon.url, trustMillis: 0 })))
  const write = (text: string) => db.sql`INSERT INTO notes (text) VALUES (${text})`
  await write('before')
  for (const kind of ['fin', 'rst', 'rst-on-next-byte'] as const) {
    expect(neon.network.cut(kind)).toBeGreaterThan(0)
    await write(kind)
  }
  const { rows } = await db.sql`SELECT text FROM notes ORDER BY id`
  expect(rows).toEqual(['before', 'fin', 'rst', 'rst-on-next-byte'].map((text) => ({ text })))
})
