/**
 * Users' code that the driver calls while it writes a statement: `toPostgres()` of a value, and the callback that is told of a value that cannot be sent. It throws, or sends another statement.
 *
 * What breaks: pg lists a statement as sent when it has been written. In its pipeline mode (`pipeline: true`) one whose callback throws is never listed, and one that is sent meanwhile is listed in front of it: each later
 * answer goes to the statement in front of its own, and callers get each other's rows. In both modes pg writes into one buffer for all connections: what is sent meanwhile takes half of the other statement along. With
 * Thaw a statement is listed first, and what is sent meanwhile waits until it is written.
 */

import { Pool as ThawPool } from '@thaw/pg'
import { type PostgresServer, startPostgres } from '@thaw/testkit'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

const BUG = 'a bug of the user'
const HANGS = 'hangs'
const HANGS_MILLIS = 4000

let server: PostgresServer
let pool: pg.Pool

beforeAll(async () => {
  server = await startPostgres()
  await server.query('create table ledger (token text)')
})
afterAll(() => server.close())

function openPool(driver: 'pg' | '@thaw/pg', pipeline: boolean): void {
  const config = { connectionString: server.url, max: 2, hedge: false, pipeline }
  pool = driver === 'pg' ? new pg.Pool(config as pg.PoolConfig) : new ThawPool(config)
  pool.on('error', () => {})
}

/** What it gets: the name in its first row, or an error's message. */
function ask(from: pg.Pool | pg.PoolClient, name: string): Promise<string> {
  const answer = from.query('select $1::text as name', [name]).then(({ rows }) => rows[0]?.name ?? 'no row', String)
  return Promise.race([answer, new Promise<string>((resolve) => setTimeout(() => resolve(HANGS), HANGS_MILLIS))])
}

const SELECT = 'select $1::text as name'
const unsendable = {
  toPostgres() {
    throw new Error('cannot be sent')
  },
}
const sending = (send: () => void) => ({
  toPostgres() {
    send()
    return 'Alice'
  },
})

/** Has the statement sent. Returns what its caller, and others whom it has called, get. */
type Act = (client: pg.PoolClient, other: pg.PoolClient) => Promise<string>[]

const ACTS: Record<string, Act> = {
  'a callback throws that is told of a value that cannot be sent': (client) => {
    expect(() =>
      client.query(SELECT, [unsendable], () => {
        throw new Error(BUG)
      }),
    ).toThrow(BUG)
    return []
  },
  'that callback sends another statement': (client) => {
    const inner = new Promise<string>((resolve) => {
      client.query(SELECT, [unsendable], (error) => {
        if (error) resolve(ask(client, 'inner'))
      })
    })
    return [inner]
  },
  'a value sends another statement on the same client': (client) => {
    let inner: Promise<string> | undefined
    const value = sending(() => {
      inner = ask(client, 'inner')
    })
    const outer = client.query(SELECT, [value]).then(({ rows }) => (rows[0]?.name === 'Alice' ? 'outer' : 'no row'), String)
    return inner ? [outer, inner] : [outer]
  },
  'a value sends another statement on another client': (client, other) => {
    let inner: Promise<string> | undefined
    const value = sending(() => {
      inner = ask(other, 'inner')
    })
    const outer = client.query(SELECT, [value]).then(({ rows }) => (rows[0]?.name === 'Alice' ? 'outer' : 'no row'), String)
    return inner ? [outer, inner] : [outer]
  },
}

/** What everybody gets: who is in the middle of it, and those who come next. */
async function run(act: Act, when: 'early' | 'late'): Promise<string[]> {
  const [client, other] = [await pool.connect(), await pool.connect()]
  await Promise.all([client.query('select 1'), other.query('select 1')])
  const told = act(client, other)
  const names = ['Bob', 'Carol', 'Dave']
  const behind = when === 'late' ? names.map((name) => ask(client, name)) : []
  client.release()
  const next = when === 'early' ? names.map((name) => ask(pool, name)) : []
  const all = await Promise.all([...told, ...behind, ...next])
  other.release()
  return all
}

afterEach(() => Promise.race([pool.end(), new Promise((resolve) => setTimeout(resolve, 500))]))

const NEXT = ['Bob', 'Carol', 'Dave']
const OWN: Record<string, string[]> = {
  'a callback throws that is told of a value that cannot be sent': NEXT,
  'that callback sends another statement': ['inner', ...NEXT],
  'a value sends another statement on the same client': ['outer', 'inner', ...NEXT],
  'a value sends another statement on another client': ['outer', 'inner', ...NEXT],
}

describe('plain pg in its pipeline mode', () => {
  test.each(Object.entries(ACTS))('%s: not everyone gets their own answer', async (name, act) => {
    openPool('pg', true)
    expect(await run(act, 'late')).not.toEqual(OWN[name])
  })
})

describe.each([true, false])('@thaw/pg, pipeline: %s', (pipeline) => {
  describe.each(['early', 'late'] as const)('its client is released %s', (when) => {
    test.each(Object.entries(ACTS))('%s: everyone gets their own answer', async (name, act) => {
      openPool('@thaw/pg', pipeline)
      expect(await run(act, when)).toEqual(OWN[name])
    })
  })

  test('something in the driver throws in the middle of a statement: its connection is closed, and the others end as not executed', async () => {
    openPool('@thaw/pg', pipeline)
    const client = await pool.connect()
    client.on('error', () => {})
    await client.query('select 1')
    // A tool that has wrapped it. Parse and Bind are written, and no Sync.
    const { connection } = client as unknown as { connection: { describe(what: object): void } }
    const { describe } = connection
    connection.describe = () => {
      connection.describe = describe
      throw new Error(BUG)
    }
    const cut = client.query('insert into ledger values ($1)', ['cut']).catch((error: Error) => error)
    const behind = client.query('insert into ledger values ($1)', ['behind']).catch((error: Error) => error)
    client.release()
    expect(await Promise.all(NEXT.map((name) => ask(pool, name)))).toEqual(NEXT)
    expect(await cut).toMatchObject({ message: BUG })
    expect(await behind).toMatchObject({ kind: 'connection-lost', outcome: 'not-executed' })
    expect((await server.query('select from ledger')).rowCount).toBe(0)
  })

  test('a statement of a kind of its own throws when it is to be sent: its place is not lost', async () => {
    openPool('@thaw/pg', false)
    const client = await pool.connect()
    client.on('error', () => {})
    const submittable = {
      submit() {
        throw new Error(BUG)
      },
      handleError() {},
    }
    expect(() => client.query(submittable as unknown as pg.Query)).toThrow(BUG)
    client.release()
    expect(await Promise.all(NEXT.map((name) => ask(pool, name)))).toEqual(NEXT)
  })

  test('a text that is no string, under a name: nothing is sent, and the next statements are answered', async () => {
    openPool('@thaw/pg', pipeline)
    const client = await pool.connect()
    const odd = { name: 'odd', text: 5 } as unknown as pg.QueryConfig
    for (const from of [client, pool]) await expect(from.query(odd)).rejects.toThrow('either text or a name')
    expect(await ask(client, 'Alice')).toBe('Alice')
    client.release()
    expect(await Promise.all(NEXT.map((name) => ask(pool, name)))).toEqual(NEXT)
  })
})
