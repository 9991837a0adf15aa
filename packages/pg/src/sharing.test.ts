/** Reads that share a connection, on real PostgreSQL: whose each answer is, and what goes over the wire. */

import { setFlagsFromString } from 'node:v8'
import { type Clock, systemClock } from '@thaw/core'
import { describe, expect, test, vi } from 'vitest'
import { ask, createPool, PATIENCE, pool, proxy, sentSince, server, TEN, teach, useSharingWorld } from '../test/sharing-world.ts'

useSharingWorld()

describe('reads that are asked at once', () => {
  test('are one flight on one connection, and each gets its own answer', async () => {
    createPool({ hedge: false })
    await pool.query('select 1')
    const before = { trips: proxy.counters.roundTrips, chunks: proxy.flows[0]?.chunks.length ?? 0 }
    proxy.setDelay({ toServerMillis: 20, toClientMillis: 20 })
    const answers = await Promise.all(TEN.map(ask))
    expect(answers.map(({ rows }) => rows[0].n)).toEqual(TEN)
    expect(new Set(answers.map(({ rows }) => rows[0].pid)).size).toBe(1)
    // The first one goes out at once, the others when the tick has ended.
    expect(sentSince(before.chunks).length).toBeLessThanOrEqual(2)
    expect(proxy.counters.roundTrips - before.trips).toBeLessThanOrEqual(2)
    expect(pool.totalCount).toBe(1)
    expect(pool.idleCount).toBe(1)
  })

  test('are answered in the order of asking, whatever form they have', async () => {
    createPool({ hedge: false, types: { getTypeParser: () => (text: string) => `parsed ${text}` } } as never)
    const order: number[] = []
    const note =
      (place: number) =>
      <T>(answer: T): T => {
        order.push(place)
        return answer
      }
    await pool.query('select 1')
    const own = { getTypeParser: () => () => 'own' } as never
    const answers = await Promise.all([
      pool.query('select 1 as n').then(note(0)),
      pool.query({ text: 'select $1::int as n, 2 as m', values: [1], rowMode: 'array' }).then(note(1)),
      pool.query({ text: 'select $1::int as n', values: [7], types: own }).then(note(2)),
      pool.query({ text: 'select 258::int as n', values: [], name: 'bytes' }).then(note(3)),
      pool.query('').then(note(4)),
      pool.query('select n from read_me order by n').then(note(5)),
    ])
    expect(order).toEqual([0, 1, 2, 3, 4, 5])
    expect(answers.map(({ rows }) => rows)).toEqual([
      [{ n: 'parsed 1' }],
      [['parsed 1', 'parsed 2']],
      [{ n: 'own' }],
      [{ n: expect.stringMatching(/^parsed /) }],
      [],
      [{ n: 'parsed 1' }, { n: 'parsed 2' }, { n: 'parsed 3' }],
    ])
  })

  test('an error in the middle fails its own read and no other, and the connection stays', async () => {
    createPool({ hedge: false })
    await pool.query('select 1')
    const answers = await Promise.allSettled(
      TEN.map((index) =>
        index % 3 === 1
          ? pool.query(index === 4 ? 'select nonsense' : 'select 1 / ($1::int - $1::int)', index === 4 ? [] : [index])
          : ask(index),
      ),
    )
    const codes = answers.map((answer) => (answer.status === 'rejected' ? answer.reason.code : answer.value.rows[0].n))
    expect(codes).toEqual([0, '22012', 2, 3, '42703', 5, 6, '22012', 8, 9])
    expect(pool.stats()).toMatchObject({ connected: 1, total: 1, idle: 1 })
  })

  test('the first one fails: the others stay', async () => {
    createPool({ hedge: false })
    await pool.query('select 1')
    const [first, ...others] = await Promise.allSettled([pool.query('select nonsense'), ...TEN.map(ask)])
    expect(first).toMatchObject({ reason: { code: '42703' } })
    expect(others.map((answer) => answer.status === 'fulfilled' && answer.value.rows[0].n)).toEqual(TEN)
    expect(pool.stats()).toMatchObject({ connected: 1, total: 1, idle: 1 })
  })

  test("a value that cannot be sent is its own caller's error", async () => {
    createPool({ hedge: false })
    await pool.query('select 1')
    const bad = {
      toPostgres: () => {
        throw new Error('not to be sent')
      },
    }
    const answers = await Promise.allSettled([
      ask(0),
      pool.query('select $1::int', [[bad]]),
      pool.query('select $1::int', [Symbol('no')]),
      ask(3),
    ])
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled'])
    expect((await ask(4)).rows[0].n).toBe(4)
  })

  test('statement_timeout ends one of them', async () => {
    createPool({ hedge: false, statement_timeout: 100 })
    await pool.query('select 1')
    const answers = await Promise.allSettled([ask(0), pool.query('select pg_sleep(5)'), ask(2)])
    expect(answers).toMatchObject([{ value: { rows: [{ n: 0 }] } }, { reason: { code: '57014' } }, { value: { rows: [{ n: 2 }] } }])
  })

  test('notices and parameters in between are no rows', async () => {
    await server.query(`create or replace function pg_temp_notice() returns int language plpgsql stable as $$ begin raise notice 'heard'; return 5; end $$;
      create or replace view noticed as select pg_temp_notice() as n`)
    createPool({ hedge: false })
    const heard: unknown[] = []
    pool.on('connect', (client) => client.on('notice', ({ message }) => heard.push(message)))
    await pool.query('select 1')
    const answers = await Promise.all([ask(0), pool.query('select n from noticed'), ask(2)])
    expect(answers.map(({ rows }) => rows[0].n)).toEqual([0, 5, 2])
    expect(heard).toEqual(['heard'])
  })

  test('a burst of errors and answers from callbacks that ask again', async () => {
    createPool({ hedge: false })
    const told: unknown[] = []
    await new Promise<void>((resolve) => {
      const next = (left: number) => {
        if (left === 0) return resolve()
        pool.query(left % 2 ? 'select nonsense' : 'select 1 as n', (error: unknown) => {
          told.push((error as { code?: string } | undefined)?.code)
          pool.query('select $1::int as n', [left], (_, result) => {
            told.push(result?.rows[0].n)
            next(left - 1)
          })
        })
      }
      next(4)
    })
    expect(told).toEqual([undefined, 4, '42703', 3, undefined, 2, '42703', 1])
  })
})

describe('named statements', () => {
  const named = (n: number) => ({ name: 'mine', text: 'select $1::int as n', values: [n] })

  test('are parsed once, and two of one name may be on their way', async () => {
    createPool({ hedge: false })
    await pool.query('select 1')
    const before = proxy.flows[0]?.chunks.length ?? 0
    const answers = await Promise.all(TEN.map((index) => pool.query(named(index))))
    expect(answers.map(({ rows }) => rows[0].n)).toEqual(TEN)
    await Promise.all(TEN.map((index) => pool.query(named(index))))
    expect(
      sentSince(before)
        .join('')
        .match(/select \$1::int as n/g),
    ).toHaveLength(1)
  })

  test('the first of them cannot be parsed: each is told of its own error', async () => {
    createPool({ hedge: false })
    await pool.query('select 1')
    const wrong = { name: 'wrong', text: 'select n from not_there' }
    const answers = await Promise.allSettled([ask(0), pool.query(wrong), pool.query(wrong), ask(3)])
    expect(answers).toMatchObject([
      { status: 'fulfilled' },
      { reason: { code: '42P01' } },
      { reason: { code: '42P01' } },
      { status: 'fulfilled' },
    ])
  })

  test('the same name for another text is refused by the driver, as ever', async () => {
    createPool({ hedge: false })
    await pool.query(named(1))
    const answers = await Promise.allSettled([ask(0), pool.query({ ...named(1), text: 'select 2 as n, $1::int' }), ask(2)])
    expect(answers).toMatchObject([
      { status: 'fulfilled' },
      { reason: { message: expect.stringContaining('unique') } },
      { status: 'fulfilled' },
    ])
  })

  test('a DDL in between is heard of by those that it concerns', async () => {
    await server.query('create table changing as select 1 as n')
    createPool({ hedge: false })
    const changing = { name: 'changing', text: 'select * from changing' }
    await pool.query(changing)
    await server.query('alter table changing add column m int default 2')
    const answers = await Promise.allSettled([ask(0), pool.query(changing), pool.query('select * from changing'), ask(3)])
    expect(answers).toMatchObject([
      { value: { rows: [{ n: 0 }] } },
      { reason: { message: expect.stringContaining('cached plan') } },
      { value: { rows: [{ n: 1, m: 2 }] } },
      { value: { rows: [{ n: 3 }] } },
    ])
  })
})

describe('large ones', () => {
  test('megabytes come to whom they are for', async () => {
    createPool({ hedge: false })
    await pool.query('select 1')
    const answers = await Promise.all(
      TEN.map((index) => (index % 2 ? pool.query(`select repeat('${index}', 3000000) as text`) : ask(index))),
    )
    for (const [index, { rows }] of answers.entries()) {
      if (index % 2) expect(rows[0].text).toBe(`${index}`.repeat(3_000_000))
      else expect(rows[0].n).toBe(index)
    }
  })

  test('parameters against results: neither side waits for the other for ever', PATIENCE, async () => {
    createPool({ hedge: false })
    await pool.query('select 1')
    const large = 'x'.repeat(16_000)
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        pool.query('select $1::text as given, $2::int as n, repeat($1, 20) as much', [large, index]),
      ),
    )
    for (const [index, { rows }] of answers.entries()) {
      expect(rows[0].n).toBe(index)
      expect(rows[0].much.length).toBe(320_000)
    }
  })

  test('more than 16 kB of parameters do not share', async () => {
    createPool({ hedge: false })
    await pool.query('select 1')
    const before = proxy.flows[0]?.chunks.length ?? 0
    proxy.setDelay({ toServerMillis: 20, toClientMillis: 20 })
    await Promise.all([ask(0), pool.query('select length($1::text)', ['y'.repeat(17_000)])])
    // Behind the answer to the first.
    const chunks = proxy.flows[0]?.chunks.slice(before) ?? []
    expect(chunks.findIndex(({ direction }) => direction === 'to-client')).toBeLessThan(
      chunks.findIndex(({ data }) => data.includes('yyyy')),
    )
  })
})

describe('what it costs', () => {
  test('reads of one tick go out in one write, and are not spread over all connections', async () => {
    let now = 0
    const clock: Clock = { ...systemClock, mono: () => (now += 0.001) }
    createPool({ max: 2, clock } as never)
    await teach(2)
    // The server works on it for a while, as far as the pool can tell.
    for (const index of TEN) {
      const answer = ask(index)
      now += 0.3
      await answer
    }
    const pids = (await Promise.all(TEN.map(ask))).map(({ rows }) => rows[0].pid)
    const first = pids.filter((pid) => pid === pids[0]).length
    // Each idle connection takes one, and the rest goes out together.
    expect([first, TEN.length - first].sort()).toEqual([1, 9])
  })

  test('a socket that was shared stays an ordinary object: it is looked at with each statement', async () => {
    setFlagsFromString('--allow-natives-syntax')
    const isFast = new Function('object', 'return %HasFastProperties(object)') as (object: object) => boolean
    createPool()
    let stream: object | undefined
    pool.on('connect', (client) => {
      stream = (client as unknown as { connection: { stream: object } }).connection.stream
    })
    await pool.query('select 1')
    expect(stream && isFast(stream)).toBe(true)
    await Promise.all(TEN.map(ask))
    await Promise.all(TEN.map(ask))
    expect(stream && isFast(stream)).toBe(true)
  })
})

describe('who shares nothing', () => {
  test.each([
    ['a write', 'insert into read_me select 1 where false'],
    ['a function that is not known', "select set_config('a.b', 'c', true)"],
    ['several statements', 'select 1; select 2'],
    ['a row lock', 'select n from read_me for update'],
    ['a session lock', 'select pg_advisory_lock(1), pg_advisory_unlock(1)'],
  ])('%s waits for a connection of its own, and nothing goes out behind it', async (_what, text) => {
    createPool({ hedge: false })
    await pool.query('select 1')
    const before = proxy.flows[0]?.chunks.length ?? 0
    await Promise.all([ask(0), ask(1), pool.query(text), ask(3), ask(4)])
    const sent = sentSince(before)
    const alone = sent.filter((chunk) => chunk.includes(text))
    expect(alone).toHaveLength(1)
    expect(alone[0]).not.toContain('pg_backend_pid')
  })

  test('a transaction, and a caller that holds a client', async () => {
    createPool({ hedge: false, max: 2 })
    await teach(1)
    const client = await pool.connect()
    await client.query('begin; create table mine (n int)')
    const others = await Promise.all(TEN.map(ask))
    const pid = (await client.query('select pg_backend_pid() as pid')).rows[0].pid
    expect(others.map(({ rows }) => rows[0].pid)).not.toContain(pid)
    await client.query('rollback')
    client.release()
  })

  test('a connection with state of its session', async () => {
    createPool({ hedge: false })
    await pool.query("set application_name to 'mine'")
    const before = proxy.counters.roundTrips
    await Promise.all(TEN.map(ask))
    expect(proxy.counters.roundTrips - before).toBe(10)
  })

  test('a caller that waits for a connection of its own gets one, however many read', async () => {
    createPool({ hedge: false, max: 2 })
    await teach(1)
    let isOver = false
    const read = async (index: number): Promise<void> => {
      while (!isOver) expect((await ask(index)).rows[0].n).toBe(index)
    }
    const readers = TEN.map(read)
    for (let turn = 0; turn < 20; turn++) {
      await pool.query('insert into read_me select 1 where false')
      const client = await pool.connect()
      await client.query('select 1')
      client.release()
    }
    isOver = true
    await Promise.all(readers)
  })

  test('a statement on a client that was given back is served in order, and nothing goes out behind it', async () => {
    createPool({ hedge: false })
    const client = await pool.connect()
    await client.query('select 1')
    client.release()
    const first = [ask(0), ask(1)]
    const stray = [client.query('begin'), client.query('select 5 as n'), client.query('commit')]
    const later = [ask(2), ask(3)]
    const answers = await Promise.all([...first, ...later])
    expect(answers.map(({ rows }) => rows[0].n)).toEqual([0, 1, 2, 3])
    expect((await Promise.all(stray))[1]?.rows).toEqual([{ n: 5 }])
    expect(pool.stats()).toMatchObject({ total: 1, idle: 1 })
  })
})

describe('bounds', () => {
  test('the time of a statement runs from when the server may begin with it', async () => {
    createPool({ hedge: false, query_timeout: 1900 })
    await pool.query('select 1')
    const answers = await Promise.all([pool.query('select pg_sleep(1)'), pool.query('select pg_sleep(1)'), ask(2)])
    expect(answers[2]?.rows[0].n).toBe(2)
  })

  test('one that is at the head takes its connection with it, and the others go out again', PATIENCE, async () => {
    createPool({ hedge: false })
    await pool.query('select 1')
    const answers = await Promise.allSettled([
      ask(0),
      pool.query({ text: 'select pg_sleep(60)', query_timeout: 100 } as never),
      ...[2, 3, 4].map(ask),
    ])
    expect(answers).toMatchObject([
      { value: { rows: [{ n: 0 }] } },
      { reason: { kind: 'deadline' } },
      { value: { rows: [{ n: 2 }] } },
      { value: { rows: [{ n: 3 }] } },
      { value: { rows: [{ n: 4 }] } },
    ])
    // And the server has stopped.
    await vi.waitFor(async () => {
      const { rows } = await server.query(
        "select 1 from pg_stat_activity where state = 'active' and query like '%pg_sleep(60)%' and pid <> pg_backend_pid()",
      )
      expect(rows).toEqual([])
    }, PATIENCE)
    expect(pool.stats()).toMatchObject({ total: 1, idle: 1 })
  })
})
