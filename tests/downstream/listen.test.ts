/** pg-listen beside a pool of Thaw: it dials a connection of its own, which no pool reaches, and renews it by itself. */

import type { EventEmitter } from 'node:events'
import { Pool } from '@thaw/pg'
import { startFaultProxy, startPostgres } from '@thaw/testkit'
import pgListen from 'pg-listen'
import { expect, test } from 'vitest'

test('hears what the pool says, before and after its connection is reset', async () => {
  await using server = await startPostgres()
  await using proxy = await startFaultProxy(server)
  const connectionString = proxy.urlFor(server.url)
  const pool = new Pool({ connectionString, trustMillis: 0 })
  const subscriber = pgListen.default({ connectionString }, { retryInterval: 10 })
  try {
    await subscriber.connect()
    await subscriber.listenTo('news')
    const heard: unknown[] = []
    subscriber.notifications.on('news', (payload: unknown) => heard.push(payload))
    const say = async (news: string) => {
      const arrived = next(subscriber.notifications, 'news')
      await pool.query('SELECT pg_notify($1, $2)', ['news', JSON.stringify(news)])
      await arrived
    }
    await say('before')
    const back = next(subscriber.events, 'connected')
    expect(proxy.cut('rst')).toBe(2)
    await back
    await say('after')
    expect(heard).toEqual(['before', 'after'])
  } finally {
    await subscriber.close()
    await pool.end()
  }
})

/** Its emitters have a type of their own, which Node's `once` does not take. */
function next(emitter: Pick<EventEmitter, never> & { once(name: string, listener: () => void): unknown }, name: string): Promise<void> {
  return new Promise((resolve) => emitter.once(name, resolve))
}
