/**
 * Statements that are objects of the user's own: cursors, row streams, COPY streams, a `new Query()`.
 *
 * What breaks: their connection dies between two reads, the server does not answer, or their reader goes away. With plain `pg` close() and `for await` never
 * end, `query_timeout` tells the reader (if it does) and leaves the statement running, and the next caller waits behind an open portal. With Thaw whatever waits
 * ends with the connection, each wait for the server is bounded, and a client that is released under an open portal costs no other caller anything.
 */

import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type LambdaContext, withThaw } from '@thaw/lambda'
import { DeadlineError, OutcomeUnknownError, Pool, ThawError } from '@thaw/pg'
import { terminateSessions } from '@thaw/testkit'
import pg from 'pg'
import { from, to } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { describe, expect, test } from 'vitest'
import { activeBackends, failure, useSetting } from './setting.ts'

const setting = useSetting()

const ROWS = 'SELECT n FROM generate_series(1, 100000) n'
const SLEEP = 'SELECT pg_sleep(60)'
const APP = 'submittables'

/** For plain pg long enough to call it waiting; for Thaw beyond each of its own limits. */
const CAP_MILLIS = { plain: 500, thaw: 30_000 }

/** How it ends, or that it does not, as far as one can see. */
function ending(work: Promise<unknown>, millis: number = CAP_MILLIS.thaw): Promise<unknown> {
  return Promise.race([
    work.then(
      () => 'ended',
      (error: Error) => error,
    ),
    new Promise((resolve) => setTimeout(resolve, millis, 'waits')),
  ])
}

async function take(pool: pg.Pool): Promise<pg.PoolClient> {
  const client = await pool.connect()
  client.on('error', () => {})
  return client
}

const capOf = (pool: pg.Pool): number => (pool instanceof Pool ? CAP_MILLIS.thaw : CAP_MILLIS.plain)

const pools = { plain: () => setting.plain({ application_name: APP }), thaw: () => setting.thaw({ application_name: APP }) }

/** The server ends the session, and its client has seen it. */
async function kill(client: pg.PoolClient): Promise<void> {
  const ended = new Promise((resolve) => client.once('end', resolve))
  await terminateSessions(setting.server, APP)
  await ended
}

async function consume(rows: AsyncIterable<unknown>, each: (count: number) => Promise<void> | void = () => {}): Promise<number> {
  let count = 0
  for await (const _ of rows) await each(++count)
  return count
}

describe('the connection dies', () => {
  test('between two reads of a cursor: the next read and close() end', async () => {
    const closed = async (pool: pg.Pool) => {
      const client = await take(pool)
      const cursor = client.query(new Cursor(ROWS))
      await cursor.read(1)
      await kill(client)
      const read = await ending(cursor.read(1), capOf(pool))
      const end = await ending(cursor.close(), capOf(pool))
      client.release(true)
      return { read, end }
    }
    expect(await closed(pools.plain())).toMatchObject({ end: 'waits' })
    const { read, end } = await closed(pools.thaw())
    expect(ThawError.is(read)).toBe(true)
    expect(read).toMatchObject({ code: '57P01' })
    expect(end).toBe('ended')
  })

  test('under a read, with close() behind it', async () => {
    const closed = async (pool: pg.Pool) => {
      const client = await take(pool)
      const cursor = client.query(new Cursor('SELECT pg_sleep(60)'))
      const read = cursor.read(1)
      read.catch(() => {})
      const close = cursor.close()
      close.catch(() => {})
      await activeBackends(setting.server, 1, 'pg_sleep')
      await kill(client)
      const both = [await ending(read, capOf(pool)), await ending(close, capOf(pool))]
      client.release(true)
      return both
    }
    // Up to pg-cursor 2.22.0 its read ends at least.
    expect((await closed(pools.plain()))[1]).toBe('waits')
    expect(await closed(pools.thaw())).toEqual([expect.any(Error), 'ended'])
  })

  test('while the rows of a stream are worked on: `for await` throws, and the stream is destroyed', async () => {
    const consumed = async (pool: pg.Pool) => {
      const client = await take(pool)
      const stream = client.query(new QueryStream(ROWS, [], { batchSize: 10 }))
      const end = await ending(
        consume(stream, (count) => (count === 15 ? kill(client) : undefined)),
        capOf(pool),
      )
      client.release(true)
      return { end, destroyed: stream.destroyed }
    }
    expect(await consumed(pools.plain())).toMatchObject({ end: 'waits' })
    const { end, destroyed } = await consumed(pools.thaw())
    expect(end).toMatchObject({ code: '57P01' })
    expect(destroyed).toBe(true)
  })

  test('under a row stream without a listener: no uncaught error, and a later reader gets the error', async () => {
    const client = await take(pools.thaw())
    const stream = client.query(new QueryStream(ROWS, [], { batchSize: 10 }))
    stream.read()
    await expect.poll(() => stream.readableLength).toBeGreaterThan(0)
    await kill(client)
    expect(await ending(consume(stream))).toMatchObject({ code: '57P01' })
    client.release(true)
  })

  test('because its client is released for good: whatever waits ends', async () => {
    const client = await take(pools.thaw())
    const cursor = client.query(new Cursor(SLEEP))
    const read = ending(cursor.read(1))
    client.release(true)
    expect(await read).toBeInstanceOf(Error)
    expect(await ending(cursor.read(1))).toBeInstanceOf(Error)
    expect(await ending(cursor.close())).toBe('ended')
  })

  test('of a pool that is ended under a cursor: close() ends', async () => {
    const pool = pools.thaw()
    const client = await take(pool)
    const cursor = client.query(new Cursor(ROWS))
    await cursor.read(1)
    await pool.end({ timeoutMillis: 0 })
    expect(await ending(cursor.close())).toBe('ended')
    client.release(true)
  })

  test.each(['plain', 'thaw'] as const)('under a COPY in either direction: it fails (%s)', async (driver) => {
    const one = await take(pools[driver]())
    const copyIn = one.query(from('COPY ledger FROM STDIN'))
    const written = ending(pipeline(Readable.from(forever()), copyIn))
    await activeBackends(setting.server, 1, 'COPY')
    await kill(one)
    expect(await written).toBeInstanceOf(Error)
    one.release(true)
    const other = await take(pools[driver]())
    const copyOut = other.query(to(`COPY (SELECT repeat('x', 10000), pg_sleep(0.001) FROM generate_series(1, 60000)) TO STDOUT`))
    const consumed = consume(copyOut, (count) => (count === 1 ? terminateSessions(setting.server, APP).then(() => {}) : undefined))
    expect(await ending(consumed)).toBeInstanceOf(Error)
    other.release(true)
  })
})

async function* forever(): AsyncGenerator<string> {
  for (;;) {
    yield 'row\n'
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

test('a cursor that failed at the server can be closed afterwards', async () => {
  const closed = async (pool: pg.Pool) => {
    const client = await take(pool)
    const cursor = client.query(new Cursor('SELECT 1 / 0'))
    expect((await failure(cursor.read(1))).message).toBe('division by zero')
    await expect.poll(() => client).toHaveProperty('readyForQuery', true)
    const end = await ending(cursor.close(), capOf(pool))
    client.release(true)
    return end
  }
  expect(await closed(pools.plain())).toBe('waits')
  expect(await closed(pools.thaw())).toBe('ended')
})

describe('query_timeout', () => {
  test('bounds a `new Query()`, at the server too', async () => {
    for (const listen of ['callback', 'event']) {
      const client = await take(setting.thaw({ query_timeout: 300 }))
      const error = await new Promise((resolve) => {
        const query = new pg.Query({ text: SLEEP }, listen === 'callback' ? (resolve as () => void) : (undefined as never))
        if (listen === 'event') query.on('error', resolve)
        client.query(query)
      })
      expect(error).toBeInstanceOf(DeadlineError)
      await activeBackends(setting.server, 0, 'pg_sleep')
      client.release()
    }
  })

  test("bounds each wait of a cursor for the server, and not its reader's pauses", async () => {
    const client = await take(setting.thaw({ query_timeout: 1000 }))
    const cursor = client.query(new Cursor('SELECT pg_sleep(CASE n WHEN 4 THEN 60 ELSE 0.25 END) FROM generate_series(1, 5) n'))
    for (let n = 1; n <= 3; n++) expect(await cursor.read(1)).toHaveLength(1)
    await new Promise((resolve) => setTimeout(resolve, 1200))
    const error = await ending(cursor.read(1))
    expect(error).toBeInstanceOf(DeadlineError)
    await activeBackends(setting.server, 0, 'pg_sleep')
    expect(await ending(cursor.close())).toBe('ended')
    client.release()
  })

  test('bounds the waits of a row stream, and destroys it', async () => {
    const client = await take(setting.thaw({ query_timeout: 300 }))
    const stream = client.query(new QueryStream(SLEEP))
    expect(await ending(consume(stream))).toBeInstanceOf(DeadlineError)
    expect(stream.destroyed).toBe(true)
    client.release()
  })

  test('bounds a COPY before it begins and after its last byte, and not its writer', async () => {
    const pool = setting.thaw({ query_timeout: 600 })
    const client = await take(pool)
    const slowly = async function* () {
      yield 'slow\n'
      await new Promise((resolve) => setTimeout(resolve, 900))
      yield 'slow\n'
    }
    await pipeline(Readable.from(slowly()), client.query(from('COPY ledger FROM STDIN')))
    expect(await setting.rows('slow')).toBe(2)
    await setting.server.query(`
      CREATE TABLE sleepy (token text);
      CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(60); RETURN NULL; END$$;
      CREATE TRIGGER sleep AFTER INSERT ON sleepy EXECUTE FUNCTION sleep()`)
    const error = await ending(pipeline(Readable.from(['late\n']), client.query(from('COPY sleepy FROM STDIN'))))
    expect(error).toBeInstanceOf(OutcomeUnknownError)
    expect((error as Error).cause).toBeInstanceOf(DeadlineError)
    await activeBackends(setting.server, 0, 'sleepy')
    client.release()
    const other = await take(pool)
    expect(await ending(consume(other.query(to(`COPY (${SLEEP}) TO STDOUT`))))).toBeInstanceOf(Error)
    await activeBackends(setting.server, 0, 'pg_sleep')
    other.release()
  })

  test('bounds close() too, when the server is silent', async () => {
    const client = await take(setting.thaw({ query_timeout: 300 }))
    const cursor = client.query(new Cursor(ROWS))
    await cursor.read(1)
    setting.proxy.cut('drop')
    expect(await ending(cursor.close())).toBe('ended')
    client.release(true)
  })

  test("of the pool's own statements that are objects", async () => {
    const pool = setting.thaw({ query_timeout: 300 })
    expect(await failure(pool.query(new pg.Query({ text: SLEEP }) as unknown as string))).toBeInstanceOf(DeadlineError)
    const stream = new QueryStream(SLEEP)
    const both = [failure(pool.query(stream as unknown as string)), failure(consume(stream))]
    for (const error of await Promise.all(both)) expect(error).toBeInstanceOf(DeadlineError)
  })

  test('of its own, set on a cursor', async () => {
    const client = await take(setting.thaw())
    const cursor = client.query(Object.assign(new Cursor(SLEEP), { query_timeout: 200 }))
    expect(await ending(cursor.read(1))).toBeInstanceOf(DeadlineError)
    client.release()
  })
})

test('a signal that is set on a row stream ends it, before it begins and in the middle', async () => {
  const controller = new AbortController()
  const client = await take(setting.thaw())
  const stream = client.query(Object.assign(new QueryStream(SLEEP), { signal: controller.signal }))
  const end = ending(consume(stream))
  await activeBackends(setting.server, 1, 'pg_sleep')
  const reason = new Error('the user went away')
  controller.abort(reason)
  expect(await end).toBe(reason)
  await activeBackends(setting.server, 0, 'pg_sleep')
  client.release()
  const other = await take(setting.thaw())
  const late = other.query(Object.assign(new Cursor(SLEEP), { signal: controller.signal }))
  expect(await ending(late.read(1))).toBe(reason)
  expect((await other.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  other.release()
})

test('the deadline of an invocation ends a row stream that would outlive it', async () => {
  const pool = setting.thaw()
  let end: unknown
  const handler = withThaw(async (_event: unknown, _context: LambdaContext) => {
    const client = await take(pool)
    const stream = new QueryStream('SELECT pg_sleep(0.05) FROM generate_series(1, 1000)', [], { batchSize: 2 })
    end = await ending(consume(client.query(stream)))
    client.release()
  })
  const deadlineAt = Date.now() + 1500
  const context = { awsRequestId: 'one', getRemainingTimeInMillis: () => deadlineAt - Date.now() } as LambdaContext
  await ending(handler({}, context))
  await expect.poll(() => end).toBeInstanceOf(DeadlineError)
  await activeBackends(setting.server, 0, 'pg_sleep')
})

describe('given back', () => {
  const next = (pool: pg.Pool) => ending(pool.query('SELECT 1'))

  test('with a cursor without a reader: the next caller does not wait for it', async () => {
    const served = async (pool: pg.Pool) => {
      const client = await take(pool)
      const cursor = client.query(new Cursor(ROWS))
      await cursor.read(1)
      client.release()
      const answer = await ending(pool.query('SELECT 1'), capOf(pool))
      return { answer, read: answer === 'waits' ? undefined : await ending(cursor.read(1)) }
    }
    expect(await served(setting.plain({ max: 1 }))).toMatchObject({ answer: 'waits' })
    const { answer, read } = await served(setting.thaw({ max: 1 }))
    expect(answer).toBe('ended')
    expect((read as Error).message).toMatch(/released while this cursor or stream was open/)
  })

  test('at once after a cursor was sent, and never read', async () => {
    const pool = setting.thaw({ max: 1 })
    const client = await take(pool)
    client.query(new Cursor(ROWS))
    client.release()
    expect(await next(pool)).toBe('ended')
  })

  test('with a cursor that was closed before it was sent: it is not sent, and its connection is kept', async () => {
    const pool = setting.thaw({ max: 1, trustMillis: 1 })
    const client = await take(pool)
    await client.query('SELECT 1')
    const silent = performance.now() + 50
    await expect.poll(() => performance.now()).toBeGreaterThan(silent)
    const cursor = client.query(new Cursor(ROWS))
    const read = cursor.read(1)
    expect(await ending(cursor.close())).toBe('ended')
    expect(await read).toEqual([])
    client.release()
    expect(await next(pool)).toBe('ended')
    expect(pool.totalCount).toBe(1)
  })

  test('with a cursor behind another statement, which is never read', async () => {
    const pool = setting.thaw({ max: 1 })
    const client = await take(pool)
    void client.query('SELECT pg_sleep(0.1)')
    client.query(new Cursor(ROWS))
    client.release()
    expect(await next(pool)).toBe('ended')
  })

  test('with a COPY that its reader or its writer left', async () => {
    const pool = setting.thaw({ max: 1 })
    for (const copy of [from('COPY ledger FROM STDIN'), to(`COPY (${ROWS}) TO STDOUT`)]) {
      const client = await take(pool)
      client.query(copy)
      const copying = `SELECT FROM pg_stat_activity WHERE query LIKE 'COPY%'`
      await expect.poll(async () => (await setting.server.query(copying)).rowCount).toBe(1)
      client.release()
      expect(await next(pool)).toBe('ended')
    }
  })

  test('with a COPY that is still written: it is written to its end first', async () => {
    const pool = setting.thaw({ max: 1 })
    const client = await take(pool)
    const slowly = async function* () {
      for (let n = 0; n < 5; n++) {
        yield 'written\n'
        if (n === 2) client.release()
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    await pipeline(slowly(), client.query(from('COPY ledger FROM STDIN')))
    expect(await setting.rows('written')).toBe(5)
    expect(await next(pool)).toBe('ended')
    expect(pool.totalCount).toBe(1)
  })

  test('with a row stream that is still read: it is read to its end first', async () => {
    const pool = setting.thaw({ max: 1 })
    const client = await take(pool)
    const stream = client.query(new QueryStream('SELECT n FROM generate_series(1, 1000) n', [], { batchSize: 100 }))
    const count = consume(stream, async (row) => {
      if (row === 150) client.release()
      if (row % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    })
    expect(await count).toBe(1000)
    expect(await next(pool)).toBe('ended')
    expect(pool.totalCount).toBe(1)
  })
})
