/**
 * Statements that a transaction begins with, issued at once: `Promise.all` as the first thing in its function.
 *
 * What breaks: the first of them. With plain `pg` it is told first, and what was behind it then fails with 25P02. With Thaw as well, and a conflict is run again.
 */

import { beforeAll, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting()

type Query = (text: string, values?: unknown[]) => Promise<unknown>

async function together(query: Query, text: string, told: unknown[]): Promise<void> {
  const tell = (error: { code: string }) => {
    told.push(error.code)
    throw error
  }
  await Promise.all([query(text).catch(tell), query(INSERT, ['together']).catch(tell)])
}

beforeAll(async () => {
  await setting.server.query(`
    CREATE SEQUENCE tries;
    CREATE FUNCTION conflict() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
      IF nextval('tries') < 3 THEN RAISE EXCEPTION 'serialization' USING errcode = '40001'; END IF;
      RETURN 1;
    END $$`)
})

test('the first failure is told first', async () => {
  const plain = await setting.plain().connect()
  await plain.query('BEGIN')
  const toldPlain: unknown[] = []
  await failure(together((text, values) => plain.query(text, values), 'SELECT 1/0', toldPlain))
  await plain.query('ROLLBACK')
  plain.release()
  const told: unknown[] = []
  const pool = setting.thaw()
  const error = await failure(pool.transaction((client) => together((text, values) => client.query(text, values), 'SELECT 1/0', told)))
  expect(error).toMatchObject({ code: '22012' })
  expect(told).toEqual(['22012', '25P02'])
  expect(told).toEqual(toldPlain)
})

test('a conflict is run again', async () => {
  let runs = 0
  await setting.thaw().transaction((client) => {
    runs++
    return together((text, values) => client.query(text, values), 'SELECT conflict()', [])
  })
  expect([runs, await setting.rows('together')]).toEqual([3, 1])
})

test('a conflict is run again, also where the function throws the failure of what came behind it', async () => {
  await setting.server.query('ALTER SEQUENCE tries RESTART')
  let runs = 0
  await setting.thaw().transaction(async (client) => {
    runs++
    const [, second] = await Promise.allSettled([client.query('SELECT conflict()'), client.query(INSERT, ['behind'])])
    if (second.status === 'rejected') throw new Error('the ORM has it', { cause: second.reason })
  })
  expect([runs, await setting.rows('behind')]).toEqual([3, 1])
})

test('if the first cannot be sent, nothing behind it is stored outside of the transaction', async () => {
  const unbound = {
    toPostgres() {
      throw new Error('cannot bind')
    },
  }
  const work = setting.thaw().transaction(async (client) => {
    const query = (token: unknown) => client.query(INSERT, [token])
    await Promise.allSettled([query(unbound), query('outside'), query('outside')])
    throw new Error('rolled back')
  })
  expect(await failure(work)).toMatchObject({ message: 'rolled back' })
  expect(await setting.rows('outside')).toBe(0)
})
