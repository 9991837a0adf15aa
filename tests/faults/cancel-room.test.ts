/**
 * Many writes under a key that are given up at once: each is cancelled on a connection beside its own, whose answer is waited for.
 *
 * What breaks: nothing of the network. The pool had as many connections for cancels as for statements, twice `max`, where the server may have no room. Plain `pg` cancels nothing: its statements run on. With Thaw there is at
 * most one above `max`, and every statement is ended.
 */

import { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { activeBackends, failure, useSetting } from './setting.ts'

const setting = useSetting()
const MAX = 4

test.each([
  ['under a key', (i: number) => ({ idempotencyKey: `key ${i}` })],
  ['of pool.query()', () => ({})],
] as const)('%s: one above max, and none goes on', async (_name, extra) => {
  const sockets: Socket[] = []
  let most = 0
  const stream = () => {
    const made = new Socket()
    sockets.push(made)
    // Those that are closed in this turn make room for it.
    made.once('connect', () => {
      most = Math.max(most, sockets.filter(({ destroyed, writableEnded }) => !destroyed && !writableEnded).length)
    })
    return made
  }
  const pool = setting.thaw({ max: MAX, hedge: false, stream })
  await pool.createIdempotencyTable()
  const abort = new AbortController()
  const work = Array.from({ length: MAX }, (_, i) =>
    failure(pool.query({ text: "INSERT INTO ledger SELECT 'late' FROM pg_sleep(60)", signal: abort.signal, ...extra(i) } as never)),
  )
  await activeBackends(setting.server, MAX, 'pg_sleep')
  expect(most).toBeLessThanOrEqual(MAX)
  setting.proxy.setDelay({ toServerMillis: 10, toClientMillis: 10 })
  abort.abort(new Error('given up'))
  await Promise.all(work)
  await activeBackends(setting.server, 0, 'pg_sleep')
  setting.proxy.setDelay({})
  expect(most).toBeLessThanOrEqual(MAX + 1)
  expect(await setting.rows('late')).toBe(0)
})
