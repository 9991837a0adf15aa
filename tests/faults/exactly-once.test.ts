/**
 * Writes whose connection is lost, with `pool.transaction()`, `pool.batch()`, `once` and idempotency keys.
 *
 * What breaks: the network under the first statement, at COMMIT, and behind it. With plain `pg` the user sees `ECONNRESET`, whether nothing was stored or all of it, and a retry by
 * hand writes twice. With Thaw the write is there once, or the error says that it is not.
 */

import { ConnectionLostError, OutcomeUnknownError, type Pool, type PoolConfig } from '@thaw/pg'
import pg from 'pg'
import { beforeEach, describe, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting()

/** As blogs have it: an error of the connection, so once more. */
async function twiceByHand(pool: pg.Pool, token: string): Promise<void> {
  const once = async () => {
    const client = await pool.connect()
    client.on('error', () => {})
    try {
      await client.query('BEGIN')
      await client.query(INSERT, [token])
      await client.query('COMMIT')
    } finally {
      client.release(true)
    }
  }
  await once().catch(once)
}

const store = (pool: Pool, token: string) => pool.transaction((client) => client.query(INSERT, [token]))

const CUTS = ['rst', 'fin', 'drop'] as const
/** What is lost, and what the ambush waits for. */
const LOSSES = [
  ['the first flight', 'loseNextRequest', 'BEGIN'],
  ['the answer to the first flight', 'loseNextAnswer', 'BEGIN'],
  ['COMMIT', 'loseNextRequest', 'COMMIT'],
  ['the answer to COMMIT', 'loseNextAnswer', 'COMMIT'],
] as const

describe('a transaction of which is lost', () => {
  test('by hand and with one retry it is written twice', async () => {
    const lost = setting.proxy.loseNextAnswer({ containing: 'COMMIT' })
    await twiceByHand(setting.plain(), 'blog')
    await lost.struck
    expect(await setting.rows('blog')).toBe(2)
  })

  for (const cut of CUTS) {
    test.each(LOSSES)(`%s, by ${cut}: it is stored once, and its caller has no error`, async (_name, lose, containing) => {
      const pool = setting.thaw()
      const token = `${cut}-${lose}-${containing}`
      // The backend is known from before: the first flight of a connection tells it.
      await store(pool, 'before')
      const lost = setting.proxy[lose]({ containing, cut })
      await store(pool, token)
      await lost.struck
      expect(await setting.rows(token)).toBe(1)
    })
  }

  test.each(LOSSES)('%s, on a connection that has just been opened', async (_name, lose, containing) => {
    const token = `new-${lose}-${containing}`
    const lost = setting.proxy[lose]({ containing })
    await store(setting.thaw(), token)
    await lost.struck
    expect(await setting.rows(token)).toBe(1)
  })

  test('its locks do not stand in the way of the next try, though the server has not been told', async () => {
    await setting.server.query("CREATE TABLE stock (item text PRIMARY KEY, n int); INSERT INTO stock VALUES ('a', 0)")
    for (const [known, n] of [
      [false, 1],
      [true, 2],
    ] as const) {
      const pool = setting.thaw()
      if (known) await store(pool, 'known')
      const lost = setting.proxy.loseNextAnswer({ containing: 'UPDATE stock', cut: 'drop' })
      await pool.transaction((client) => client.query("UPDATE stock SET n = n + 1 WHERE item = 'a'"))
      await lost.struck
      expect((await setting.server.query('SELECT n FROM stock')).rows).toEqual([{ n }])
    }
  })

  test('its backend, ended by an administrator in the middle', async () => {
    let tries = 0
    await setting.thaw().transaction(async (client) => {
      tries++
      await client.query(INSERT, ['ended'])
      if (tries === 1)
        await setting.server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'")
      await client.query(INSERT, ['ended'])
    })
    expect([tries, await setting.rows('ended')]).toEqual([2, 2])
  })

  test('retries are bounded, and then the error says that nothing is stored', async () => {
    const pool = setting.thaw()
    let tries = 0
    const hopeless = pool.transaction(
      async (client) => {
        tries++
        setting.proxy.loseNextRequest({ containing: 'hopeless' })
        await client.query(INSERT, ['hopeless'])
      },
      { retries: 2 },
    )
    const error = await failure(hopeless)
    expect(error).toBeInstanceOf(ConnectionLostError)
    expect(error).toMatchObject({ outcome: 'not-executed' })
    expect([tries, await setting.rows('hopeless')]).toEqual([3, 0])
    expect(await pool.outcome(error)).toBe('not-executed')
  })

  test('one that only reads is no loss at all', async () => {
    const pool = setting.thaw()
    const lost = setting.proxy.loseNextRequest({ containing: 'COMMIT' })
    const read = pool.transaction(async (client) => (await client.query('SELECT 7 AS n')).rows, { readOnly: true })
    expect(await read).toEqual([{ n: 7 }])
    await lost.struck
  })
})

describe('conflicts', () => {
  beforeEach(async () => {
    await setting.server.query(
      'DROP TABLE IF EXISTS counters; CREATE TABLE counters (id int PRIMARY KEY, n int); INSERT INTO counters VALUES (1, 0), (2, 0)',
    )
  })

  const increment = (pool: Pool, wrap: (error: unknown) => unknown) =>
    pool.transaction(
      async (client) => {
        try {
          const { rows } = await client.query<{ n: number }>('SELECT n FROM counters WHERE id = 1')
          await client.query('UPDATE counters SET n = $1 WHERE id = 1', [(rows[0]?.n ?? 0) + 1])
        } catch (error) {
          throw wrap(error)
        }
      },
      { isolation: 'serializable', retries: 50 },
    )

  test.each([
    ['as they are', (error: unknown) => error],
    ['wrapped by an ORM', (cause: unknown) => new Error('Failed query', { cause })],
  ])('of the isolation (40001) are run again, %s', async (_name, wrap) => {
    const pool = setting.thaw({ max: 4 })
    await Promise.all(Array.from({ length: 12 }, () => increment(pool, wrap)))
    expect((await setting.server.query('SELECT n FROM counters WHERE id = 1')).rows).toEqual([{ n: 12 }])
    expect(setting.events.some((event) => event.type === 'retried' && event.what === 'transaction')).toBe(true)
  })

  test('a deadlock (40P01) is run again', async () => {
    await setting.server.query("ALTER SYSTEM SET deadlock_timeout = '50ms'")
    await setting.server.query('SELECT pg_reload_conf()')
    const pool = setting.thaw({ max: 2 })
    let met = 0
    let meet = () => {}
    const both = new Promise<void>((resolve) => {
      meet = resolve
    })
    const inOrder = (first: number, second: number) =>
      pool.transaction(async (client) => {
        await client.query('UPDATE counters SET n = n + 1 WHERE id = $1', [first])
        if (++met >= 2) meet()
        await both
        await client.query('UPDATE counters SET n = n + 1 WHERE id = $1', [second])
      })
    await Promise.all([inOrder(1, 2), inOrder(2, 1)])
    expect((await setting.server.query('SELECT n FROM counters ORDER BY id')).rows).toEqual([{ n: 2 }, { n: 2 }])
  })

  test('at COMMIT (a deferred constraint) are an error of the server: nothing is stored', async () => {
    await setting.server.query('CREATE TABLE later (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)')
    const failing = setting.thaw().transaction(async (client) => {
      await client.query('INSERT INTO later VALUES (1), (1)')
    })
    await expect(failing).rejects.toMatchObject({ code: '23505' })
    expect((await setting.server.query('TABLE later')).rows).toEqual([])
  })

  test('a signal ends the tries, and what waits', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    let tries = 0
    const given = setting.thaw().transaction(
      async (client) => {
        tries++
        controller.abort(reason)
        await client.query(INSERT, ['given-up'])
      },
      { signal: controller.signal },
    )
    await expect(given).rejects.toBe(reason)
    expect([tries, await setting.rows('given-up')]).toEqual([1, 0])
  })
})

describe('a server that crashes after COMMIT was sent', () => {
  test('and has never stored it: told as not executed, and run again', async () => {
    const pool = setting.thaw()
    await store(pool, 'before-crash')
    const lost = setting.proxy.loseNextRequest({ containing: 'COMMIT' })
    const storing = store(pool, 'crash-request')
    await lost.struck
    await setting.server.restart('immediate')
    await storing
    expect(await setting.rows('crash-request')).toBe(1)
  })

  test('where no client can know, the error says so, with what is known, and asking again brings nothing', async () => {
    const pool = setting.thaw()
    await store(pool, 'before-unknown')
    const lost = setting.proxy.loseNextAnswer({ containing: 'COMMIT', until: 'ready-for-query' })
    setting.proxy.refuse()
    const storing = failure(store(pool, 'crash-answer'))
    await lost.struck
    await setting.server.restart('immediate')
    await setting.server.query("INSERT INTO ledger VALUES ('a stranger')")
    await setting.proxy.accept()
    const error = (await storing) as OutcomeUnknownError
    expect(error).toBeInstanceOf(OutcomeUnknownError)
    expect(error).toMatchObject({
      code: '08007',
      reason: 'xid-may-be-anothers',
      evidence: { xid: expect.stringMatching(/^\d+$/), host: expect.any(String) },
    })
    const again = await failure(pool.outcome(error))
    expect(again).toBeInstanceOf(OutcomeUnknownError)
    expect(await setting.rows('crash-answer')).toBe(1)
  })
})

describe('a database that does not tell who it is', () => {
  const reads = (pool: Pool, token: string) =>
    pool.transaction(async (client) => {
      await client.query('SELECT 1')
      await client.query(INSERT, [token])
    })

  test('serves transactions, and a lost COMMIT is unknown, whether or not it began with a read', async () => {
    await setting.server.query(`
      CREATE ROLE stranger LOGIN PASSWORD 'stranger'; GRANT ALL ON ledger TO stranger;
      REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC`)
    const url = new URL(setting.proxy.urlFor(setting.server.url))
    Object.assign(url, { username: 'stranger', password: 'stranger' })
    const pool = setting.thaw({ connectionString: url.href })
    for (const [write, token] of [
      [store, 'blind'],
      [reads, 'blind-read'],
    ] as const) {
      await write(pool, token)
      expect(await setting.rows(token)).toBe(1)
      const lost = setting.proxy.loseNextRequest({ containing: 'COMMIT' })
      expect(await failure(write(pool, token))).toMatchObject({ kind: 'outcome-unknown', reason: 'xid-not-known' })
      await lost.struck
      expect(await setting.rows(token)).toBe(1)
    }
    await setting.server.query('GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC')
  })
})

describe('once: true', () => {
  const once = (pool: Pool, token: string) => pool.query({ text: `${INSERT} RETURNING token`, values: [token], once: true })

  test('takes one round trip more, and gives the result', async () => {
    const pool = setting.thaw({ trustMillis: 60_000 })
    await once(pool, 'first')
    const before = setting.proxy.counters.roundTrips
    const { rows, rowCount, command } = await once(pool, 'counted')
    expect(setting.proxy.counters.roundTrips - before).toBe(2)
    expect({ rows, rowCount, command }).toEqual({ rows: [{ token: 'counted' }], rowCount: 1, command: 'INSERT' })
  })

  test.each(LOSSES)('%s is lost: written once, with its rows', async (_name, lose, containing) => {
    const token = `once-${lose}-${containing}`
    const lost = setting.proxy[lose]({ containing })
    expect((await once(setting.thaw(), token)).rows).toEqual([{ token }])
    await lost.struck
    expect(await setting.rows(token)).toBe(1)
  })
})

describe('a batch', () => {
  const two = (token: string) => [
    { text: `${INSERT} RETURNING token`, values: [token] },
    { text: 'INSERT INTO ledger VALUES ($1)', values: [token] },
  ]

  test('is one round trip, in order', async () => {
    const pool = setting.thaw({ trustMillis: 60_000 })
    await pool.batch(['SELECT 1'])
    const before = setting.proxy.counters.roundTrips
    const [first, second, third] = await pool.batch([...two('batch'), 'SELECT 3 AS n'])
    expect(setting.proxy.counters.roundTrips - before).toBe(1)
    expect([first?.rows, second?.rowCount, third?.rows]).toEqual([[{ token: 'batch' }], 1, [{ n: 3 }]])
    expect(await setting.rows('batch')).toBe(2)
  })

  test('is all or nothing', async () => {
    const pool = setting.thaw()
    await expect(pool.batch([...two('half'), 'SELECT 1/0'])).rejects.toMatchObject({ code: '22012' })
    const unbound = {
      toPostgres() {
        throw new Error('cannot bind')
      },
    }
    await expect(pool.batch([...two('half'), { text: INSERT, values: [unbound] }])).rejects.toThrow('cannot bind')
    expect(await setting.rows('half')).toBe(0)
    expect(pool.idleCount).toBe(1)
  })

  test('whose request is lost: unknown, until it can be known; with once it is stored once', async () => {
    const pool = setting.thaw()
    await pool.batch(['SELECT 1'])
    setting.proxy.loseNextAnswer({ containing: 'lost-batch' })
    expect(await failure(pool.batch(two('lost-batch')))).toMatchObject({ kind: 'outcome-unknown', reason: 'xid-not-known' })
    for (const [lose, containing] of [
      ['loseNextAnswer', 'once-batch'],
      ['loseNextAnswer', 'COMMIT'],
      ['loseNextRequest', 'COMMIT'],
    ] as const) {
      const token = `once-batch-${lose}-${containing}`
      const lost = setting.proxy[lose]({ containing })
      expect(await pool.batch(two(token), { once: true })).toHaveLength(2)
      await lost.struck
      expect(await setting.rows(token)).toBe(2)
    }
  })

  test('whose answer breaks off behind the id is resolved', async () => {
    const pool = setting.thaw()
    await pool.batch(['SELECT 1'])
    const slow = { text: 'INSERT INTO slow_at_commit VALUES ($1)', values: ['broken-off'] }
    await setting.server.query(`
      CREATE TABLE slow_at_commit (token text);
      CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END';
      CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON slow_at_commit DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slowly()`)
    const locker = new pg.Client(setting.server.url)
    await locker.connect()
    await locker.query('SELECT pg_advisory_lock(1)')
    const sent = pool.batch([slow])
    const waiting = "SELECT FROM pg_stat_activity WHERE wait_event = 'advisory'"
    await expect.poll(async () => (await setting.server.query(waiting)).rowCount).toBe(1)
    setting.proxy.cut('rst')
    await locker.end()
    const [result] = await sent
    expect(result?.rowCount).toBe(1)
    expect((await setting.server.query("SELECT FROM slow_at_commit WHERE token = 'broken-off'")).rowCount).toBe(1)
  })
})

describe('bad input is refused before anything is sent', () => {
  const statement = { text: INSERT, values: ['bad'] }
  test.each<[string, (pool: Pool) => Promise<unknown>, string]>([
    ['once with several statements', (pool) => pool.query({ text: 'SELECT 1; SELECT 2', once: true }), 'once'],
    ['once with COPY', (pool) => pool.query({ text: 'COPY ledger TO STDOUT', once: true }), 'once'],
    ['once with LISTEN', (pool) => pool.query({ text: 'LISTEN it', once: true }), 'once'],
    ['once behind comments', (pool) => pool.query({ text: '-- c\n/* and * c */ LISTEN it', once: true }), 'once'],
    ['once with VACUUM', (pool) => pool.query({ text: 'VACUUM', once: true }), 'once'],
    ['once with BEGIN', (pool) => pool.query({ text: 'BEGIN', once: true }), 'once'],
    ['once that is a text', (pool) => pool.query({ ...statement, once: 'yes' } as never), 'once'],
    ['a key with several statements', (pool) => pool.query({ text: 'SELECT 1; SELECT 2', idempotencyKey: 'k' }), 'idempotencyKey'],
    ['an empty key', (pool) => pool.query({ ...statement, idempotencyKey: '' }), 'idempotencyKey'],
    ['an overlong key', (pool) => pool.query({ ...statement, idempotencyKey: 'k'.repeat(256) }), 'idempotencyKey'],
    ['a key with half of a character', (pool) => pool.query({ ...statement, idempotencyKey: '\ud800' }), 'idempotencyKey'],
    ['a key that is a number', (pool) => pool.query({ ...statement, idempotencyKey: 7 } as never), 'idempotencyKey'],
    ['a batch of nothing', (pool) => pool.batch([]), 'statements'],
    ['a batch with COMMIT', (pool) => pool.batch(['COMMIT']), 'statements'],
    ['a batch of several in one', (pool) => pool.batch(['SELECT 1; SELECT 2']), 'statements'],
    ['a batch that is a text', (pool) => pool.batch('SELECT 1' as never), 'statements'],
    [
      'once on a client of one’s own',
      async (pool) => {
        const client = await pool.connect()
        return (client.query({ ...statement, once: true } as never) as unknown as Promise<unknown>).finally(() => client.release())
      },
      'once',
    ],
  ])('%s', async (_name, call, option) => {
    expect(await failure(call(setting.thaw()))).toMatchObject({ kind: 'option', option })
    expect(await setting.rows('bad')).toBe(0)
  })
})

describe('a pool that reads in binary', () => {
  test.each(LOSSES)('%s is lost: it is stored once, and no caller is told that it is unknown', async (_name, lose, containing) => {
    const pool = setting.thaw({ binary: true } as PoolConfig)
    const token = `binary-${lose}-${containing}`
    const lost = setting.proxy[lose]({ containing })
    await store(pool, token)
    await lost.struck
    expect(await setting.rows(token)).toBe(1)
  })
})
