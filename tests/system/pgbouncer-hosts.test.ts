/**
 * Two hosts, each a PgBouncer beside its server. The primary goes away, its PgBouncer stays and lets everyone in; the standby is promoted, and its PgBouncer goes
 * on saying at login that it is one. The pool has to find the new primary, and keep its promises about what was under way.
 */

import { Pool } from '@thaw/pg'
import { startPgBouncer, startPostgres } from '@thaw/testkit'
import { describe, expect, test } from 'vitest'
import { until } from '../faults/until.ts'

const INSERT = 'insert into orders (item) values ($1)'

interface Told {
  readonly done: string[]
  readonly failed: { readonly item: string; readonly error: Error }[]
}

describe.each(['transaction', 'session'] as const)('in %s mode', (mode) => {
  const pools = [1, 4].flatMap((max) => (['any', 'read-write'] as const).map((attrs) => ({ attrs, max })))

  test.each(pools)('$attrs, max $max: the primary behind a PgBouncer goes away, and the other is promoted', async ({ attrs, max }) => {
    await using primary = await startPostgres()
    await primary.query('create table orders (item text primary key)')
    await using standby = await primary.startStandby()
    await using before = await startPgBouncer(primary, { mode, sessions: 10, queryWaitMillis: 2000 })
    await using beside = await startPgBouncer(standby, { mode, sessions: 10, queryWaitMillis: 2000 })
    // It keeps what its server said first.
    const stale = new Pool({ connectionString: beside.urlFor(standby.url) })
    await stale.query('select 1')
    await stale.end()

    const { host } = new URL(beside.urlFor(standby.url))
    const url = new URL(before.urlFor(primary.url))
    const pool = new Pool({ connectionString: url.href.replace(url.host, `${url.host},${host}`), target_session_attrs: attrs, max })
    pool.on('error', () => {})
    const told: Told = { done: [], failed: [] }
    let isOver = false
    const keepWriting = async (name: string, write: (item: string) => Promise<unknown>): Promise<void> => {
      for (let index = 0; !isOver; index++) {
        const item = `${name} ${index}`
        await write(item).then(
          () => told.done.push(item),
          (error: Error) => told.failed.push({ item, error }),
        )
      }
    }
    const callers = [
      keepWriting('alone', (item) => pool.query(INSERT, [item])),
      keepWriting('transaction', (item) => pool.transaction((client) => client.query(INSERT, [item]))),
      keepWriting('once', (item) => pool.query({ text: INSERT, values: [item], once: true })),
      keepWriting('batch', (item) => pool.batch([{ text: INSERT, values: [item] }])),
    ]
    const hasBegun = (from: number) => callers.length === new Set(told.done.slice(from).map((item) => item.split(' ')[0])).size
    await until('each kind has written', () => hasBegun(0))
    await standby.catchUp()
    await primary.stop('immediate')
    const lost = told.done.length
    await standby.promote()
    await until('each kind writes again', () => hasBegun(lost))
    isOver = true
    await Promise.all(callers)
    await pool.end()

    const { rows } = await standby.query('select item from orders')
    const stored = new Set(rows.map(({ item }) => item))
    // What was stored between the standby's last word and the end of the primary went with it: replication is asynchronous.
    const after = told.done.slice(lost)
    expect(after.filter((item) => !stored.has(item))).toEqual([])
    expect(told.failed.filter(({ item, error }) => error.name !== 'OutcomeUnknownError' && stored.has(item))).toEqual([])
  })
})
