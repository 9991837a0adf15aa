/**
 * Code that throws in front of the driver, which then misses a message of the server: a listener of its connection that was put first, or a
 * method of its Query that was replaced.
 *
 * What breaks: a row is missing, or a caller gets the next one's rows with its own, if the process outlives the exception. Plain `pg` answers no
 * statement any more: its parser has lost its place.
 */

import { Pool as NeonPool } from '@thaw/neon'
import { Pool as ThawPool } from '@thaw/pg'
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'

useOneNeon()

const BUG = 'a bug of the user'
const DRIVERS = ['@thaw/pg', '@thaw/neon'] as const

let pool: pg.Pool
let uncaught: string[] = []
let listeners: NodeJS.UncaughtExceptionListener[] = []
let restore = () => {}

const note = ({ message }: Error) => void uncaught.push(message)

beforeEach(() => {
  uncaught = []
  // Vitest fails a run for each of them.
  listeners = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', note)
})
afterEach(async () => {
  restore()
  restore = () => {}
  await pool.end()
  process.off('uncaughtException', note)
  for (const listener of listeners) process.on('uncaughtException', listener)
})

type Listenable = pg.PoolClient & { connection: { prependListener(name: string, listener: () => void): void } }

/** Throws the third time. */
function bugAtThird(): () => void {
  let count = 0
  return () => {
    if (++count === 3) throw new Error(BUG)
  }
}

const NAMES = ['A', 'B', 'C', 'D', 'E', 'F']
const ask = () =>
  Promise.all(NAMES.map((name) => pool.query('select $1::text as name', [name]).then(({ rows }) => rows.map((row) => row.name))))

describe.each(DRIVERS)('%s', (driver) => {
  const openPool = (options: object = {}) => {
    const config = { max: 1, ...options }
    if (driver === '@thaw/pg') pool = new ThawPool({ connectionString: neon.postgres.url, ...config })
    else pool = new NeonPool({ connectionString: neon.url, ...config }) as unknown as pg.Pool
    pool.on('error', () => {})
  }

  const where = ['parseComplete', 'rowDescription', 'dataRow', 'commandComplete', 'readyForQuery'].flatMap((name) =>
    [true, false].map((share) => [name, share] as const),
  )
  test.each(where)('a listener of %s in front of the driver, with share: %s: each read has its own rows', async (name, share) => {
    openPool({ share })
    await pool.query('select 1')
    const client = (await pool.connect()) as Listenable
    client.connection.prependListener(name, bugAtThird())
    client.release()
    for (let turn = 0; turn < 2; turn++) expect(await ask()).toEqual(NAMES.map((own) => [own]))
    expect(uncaught).toEqual([BUG])
  })

  test('a listener of errors in front of the driver: the statement is not told as answered', async () => {
    openPool()
    const client = (await pool.connect()) as Listenable
    client.connection.prependListener('errorMessage', () => {
      throw new Error(BUG)
    })
    await expect(client.query('select 1/0')).rejects.toMatchObject({ cause: { cause: { message: BUG } } })
    client.release()
    expect(await ask()).toEqual(NAMES.map((own) => [own]))
    expect(uncaught).toEqual([BUG])
  })

  test.each(['handleDataRow', 'handleCommandComplete', 'handleRowDescription'])(
    'a method of Query that was replaced, %s: each read has its own rows',
    async (method) => {
      openPool({ share: true })
      await pool.query('select 1')
      const client = await pool.connect()
      const { prototype: query } = (client.constructor as unknown as { Query: { prototype: object } }).Query
      client.release()
      const before = (query as unknown as Record<string, (...values: unknown[]) => unknown>)[method]
      const bug = bugAtThird()
      Object.assign(query, {
        [method](...values: unknown[]) {
          bug()
          return before?.apply(this, values)
        },
      })
      restore = () => void Object.assign(query, { [method]: before })
      for (let turn = 0; turn < 2; turn++) expect(await ask()).toEqual(NAMES.map((own) => [own]))
      expect(uncaught).toEqual([BUG])
    },
  )
})
