/**
 * Reads behind one that is blocked for long, while other connections are idle.
 *
 * What breaks: nothing of the network. The first race of each is bounded, so that what takes long does not keep two connections from the others: it must not
 * have been their only chance. With plain `pg` each has a connection of its own.
 */

import { expect, test, vi } from 'vitest'
import { createPool, lock, PATIENCE, pool, server, TEN, untilLocked, useSharingWorld } from '../test/sharing-world.ts'

useSharingWorld()

const COUNT = 'select count(*)::int as n from read_me'

const TURNS = 6
const TAUGHT = TURNS * TEN.slice(4).length

/** The head waits for a lock, the reads behind it are sent, and then all other connections are given back. */
async function behindALock<Result>(text: string, behind: () => Promise<Result>[]) {
  for (let turn = 0; turn < TURNS; turn++)
    await Promise.all([pool.query(COUNT), ...TEN.slice(4).map(() => pool.query(text, text.includes('$1') ? [0] : []))])
  const unlock = await lock()
  const clients = await Promise.all([1, 2].map(() => pool.connect()))
  const head = pool.query(COUNT)
  const answers = Promise.all(behind())
  await untilLocked()
  for (const client of clients) client.release()
  return { head, answers, unlock }
}

test('they take longer this time than a race may: each is answered while the first is still blocked', PATIENCE, async () => {
  const text = 'select pg_sleep($1::float8)::text, 7 as n'
  createPool({ max: 3 })
  const { head, answers, unlock } = await behindALock(text, () => [0.4, 0.4, 0.4].map((seconds) => pool.query(text, [seconds])))
  let isOver = false
  void head.then(() => {
    isOver = true
  })
  expect((await answers).map(({ rows }) => rows[0].n)).toEqual([7, 7, 7])
  expect(isOver).toBe(false)
  await unlock()
  expect((await head).rows).toEqual([{ n: 3 }])
})

test(
  'what turns out to write waits for its only chance, is not told that no connection is free, and shares none the next time',
  PATIENCE,
  async () => {
    await server.query(`create table looks (n int); create function look() returns int language sql begin atomic insert into looks values (7) returning n; end;
    create view watched as select look() as n`)
    const text = 'select n from watched'
    createPool({ max: 3, connectionTimeoutMillis: 500, options: '-c synchronous_commit=off' })
    const { head, answers, unlock } = await behindALock(text, () => [pool.query(text)])
    const headFailed = head.catch(() => {})
    await vi.waitFor(() => expect(pool.idleCount).toBe(2), PATIENCE)
    await new Promise((resolve) => setTimeout(resolve, 1000))
    expect((await pool.query(text)).rows).toEqual([{ n: 7 }])
    await unlock()
    await headFailed
    expect((await answers).map(({ rows }) => rows)).toEqual([[{ n: 7 }]])
    expect((await server.query('select n from looks')).rowCount).toBe(TAUGHT + 2)
  },
)
