/**
 * The first transaction of its connection sends something of ours by itself (BEGIN in front of a text of several statements, of a cursor or of a savepoint, the savepoint, its end, ROLLBACK), and the connection falls
 * silent under it, or under what comes next. The server is up, and the backend is gone.
 *
 * What breaks: a NAT forgets the connection, and no byte is left to send, so no RST comes. With plain `pg` the transaction by hand hangs for ever. With Thaw it is run again: what takes no time and is not
 * answered needs no proof, and what may take its time goes to a server that is known.
 */

import { Pool } from '@thaw/pg'
import { type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import pg from 'pg'
import Cursor from 'pg-cursor'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { INSERT } from './setting.ts'

type TransactionClient = Parameters<Parameters<Pool['transaction']>[0]>[0]

let server: PostgresServer
const SILENCE = { cut: 'drop', server: 'close' } as const
const BUG = new Error('own')

interface Case {
  /** What its request, or the answer to it, contains. */
  readonly at: string
  readonly work: (client: TransactionClient, token: string) => Promise<unknown>
  /** How often it is stored. Default: once. */
  readonly rows?: number
  readonly isolation?: 'serializable'
}

const insert = (client: Pick<TransactionClient, 'query'>, token: string) => client.query(INSERT, [token])
const several = (client: Pick<TransactionClient, 'query'>, token: string) =>
  client.query(`SELECT 1; INSERT INTO ledger VALUES ('${token}')`)

const CASES: Readonly<Record<string, Case>> = {
  'BEGIN of a savepoint': { at: 'BEGIN', work: (client, token) => client.transaction((inner) => insert(inner, token)) },
  'the savepoint': { at: 'SAVEPOINT', work: (client, token) => client.transaction((inner) => insert(inner, token)) },
  'the savepoint, serializable': {
    at: 'SAVEPOINT',
    work: (client, token) => client.transaction((inner) => insert(inner, token)),
    isolation: 'serializable',
  },
  'the first in a savepoint': { at: 'ledger', work: (client, token) => client.transaction((inner) => insert(inner, token)) },
  'several in a savepoint': { at: 'ledger', work: (client, token) => client.transaction((inner) => several(inner, token)) },
  'the end of an empty savepoint': {
    at: 'RELEASE',
    work: (client, token) => client.transaction(() => 1).then(() => insert(client, token)),
  },
  'going back to a savepoint': {
    at: 'ROLLBACK TO',
    work: async (client, token) => {
      await client.transaction(() => Promise.reject(BUG)).catch(() => {})
      await insert(client, token)
    },
  },
  'COMMIT behind an empty savepoint': { at: 'COMMIT', work: (client) => client.transaction(() => 1), rows: 0 },
  'BEGIN of several statements': { at: 'BEGIN', work: several },
  'several statements': { at: 'ledger', work: several },
  'several that begin with SET': {
    at: 'ledger',
    work: (client, token) => client.query(`SET LOCAL work_mem = '8MB'; INSERT INTO ledger VALUES ('${token}')`),
  },
  'BEGIN of a cursor': {
    at: 'BEGIN',
    work: async (client, token) => {
      const cursor = client.query(new Cursor('SELECT 1'))
      await cursor.read(10)
      await cursor.close()
      await insert(client, token)
    },
  },
}

const LOSSES = ['loseNextRequest', 'loseNextAnswer'] as const
const PATIENCE = { timeout: 90_000 }
const late = () => new Promise<string>((resolve) => setTimeout(resolve, 45_000, 'hangs'))

beforeAll(async () => {
  server = await startPostgres()
  await server.query('CREATE TABLE ledger (token text NOT NULL)')
})
afterAll(() => server.close())

/** How often it is stored. */
async function run(lose: (typeof LOSSES)[number], token: string, { at, work, isolation }: Case): Promise<number | null> {
  // Of its own: they are silent side by side.
  await using proxy = await startFaultProxy(server)
  const pool = new Pool({ max: 2, connectionString: proxy.urlFor(server.url) })
  let lost: { readonly struck: Promise<unknown> } | undefined
  await pool.transaction(
    async (client) => {
      lost ??= proxy[lose]({ containing: at, ...SILENCE })
      await work(client, token)
    },
    isolation ? { isolation } : {},
  )
  await lost?.struck
  await pool.end()
  return (await server.query('SELECT FROM ledger WHERE token = $1', [token])).rowCount
}

test.each(LOSSES)('%s: it is run again', PATIENCE, async (lose) => {
  const all = Object.entries(CASES)
  const told = all.map(async ([name, one]) => [name, await Promise.race([run(lose, `${lose} ${name}`, one).catch(String), late()])])
  expect(Object.fromEntries(await Promise.all(told))).toEqual(Object.fromEntries(all.map(([name, { rows = 1 }]) => [name, rows])))
})

test.each(LOSSES)('%s: ROLLBACK: its caller gets the error of the function', PATIENCE, async (lose) => {
  await using proxy = await startFaultProxy(server)
  const pool = new Pool({ max: 1, connectionString: proxy.urlFor(server.url) })
  let lost: { readonly struck: Promise<unknown> } | undefined
  const told = pool.transaction(async (client) => {
    await client.transaction(() => 1)
    lost = proxy[lose]({ containing: 'ROLLBACK', ...SILENCE })
    throw BUG
  })
  expect(await Promise.race([told.catch((error: Error) => error), late()])).toBe(BUG)
  await lost?.struck
  await pool.end()
})

test('plain pg hangs', PATIENCE, async () => {
  await using proxy = await startFaultProxy(server)
  const client = new pg.Client(proxy.urlFor(server.url))
  client.on('error', () => {})
  await client.connect()
  const lost = proxy.loseNextRequest({ containing: 'begin', ...SILENCE })
  const begun = client.query('begin').then(String, String)
  await lost.struck
  expect(await Promise.race([begun, new Promise((resolve) => setTimeout(resolve, 8_000, 'hangs'))])).toBe('hangs')
})
