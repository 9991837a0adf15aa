/**
 * A transaction that loses its connection before COMMIT, under a text that could end a transaction, were it sent by itself: several statements, DO, CALL, a constant that ends in a backslash.
 *
 * What breaks: the network. With plain `pg` the user sees `ECONNRESET`. The server rolls the transaction back, so with Thaw it is run again. And where such a text does end its transaction, as the
 * server says, it is not: what it has stored would be stored twice.
 */

import { ConnectionLostError, TransactionUseError } from '@thaw/pg'
import type pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting()

beforeAll(() => setting.server.query("CREATE PROCEDURE store() LANGUAGE sql AS $$ INSERT INTO ledger VALUES ('call') $$"))

const TEXTS = [
  ['several', "INSERT INTO ledger VALUES ('several'); SELECT 'lose'"],
  ['rolled back', "SAVEPOINT a; SELECT 'lose'; ROLLBACK TO a; INSERT INTO ledger VALUES ('rolled back')"],
  ['do', "DO $$ BEGIN INSERT INTO ledger VALUES ('do'); PERFORM 'lose'; END $$"],
  ['call', 'CALL store() /* lose */'],
  ['the end\\', "INSERT INTO ledger VALUES ('the end\\') /* lose */"],
] as const

describe.each(['loseNextRequest', 'loseNextAnswer'] as const)('%s', (lose) => {
  test.each(TEXTS)('%s: it is run again, and stored once', async (token, text) => {
    for (const isFirst of [false, true]) {
      await setting.server.query('DELETE FROM ledger')
      const lost = setting.proxy[lose]({ containing: 'lose' })
      let tries = 0
      await setting.thaw().transaction(async (client) => {
        tries++
        if (!isFirst) await client.query(INSERT, ['before'])
        await client.query(text)
      })
      await lost.struck
      expect([tries, await setting.rows(token)]).toEqual([2, 1])
    }
  })
})

test.each(TEXTS)('by hand, %s: the error says that nothing of it is stored', async (token, text) => {
  await setting.server.query('DELETE FROM ledger')
  const told = async (pool: pg.Pool) => {
    const client = await pool.connect()
    client.on('error', () => {})
    await client.query('BEGIN')
    const lost = setting.proxy.loseNextAnswer({ containing: 'lose' })
    const error = await failure(client.query(text))
    await lost.struck
    client.release(error)
    return error
  }
  expect(await told(setting.plain())).not.toHaveProperty('outcome')
  const error = await told(setting.thaw())
  expect(error).toBeInstanceOf(ConnectionLostError)
  expect(error).toMatchObject({ outcome: 'not-executed', reason: 'transaction-rolled-back' })
  expect(await setting.rows(token)).toBe(0)
})

const CONFLICT = "DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END $$"

test('COMMIT behind a constant that ends in a backslash is refused before it is sent', async () => {
  let tries = 0
  const work = setting.thaw().transaction(async (client) => {
    tries++
    await client.query(INSERT, ['refused'])
    await client.query("INSERT INTO ledger VALUES ('C:\\dir\\'); COMMIT; BEGIN")
    if (tries === 1) await client.query(CONFLICT)
  })
  expect(await failure(work)).toBeInstanceOf(TransactionUseError)
  expect([tries, await setting.rows('refused'), await setting.rows('C:\\dir\\')]).toEqual([1, 0, 0])
})

test('a text with a typing error, and a part that is rolled back: the transaction goes on', async () => {
  await setting.server.query('DELETE FROM ledger')
  await setting.thaw().transaction(async (client) => {
    await client.query(INSERT, ['kept'])
    await failure(client.transaction((part) => part.query('selec 1')))
    await client.query("SAVEPOINT a; INSERT INTO ledger VALUES ('gone'); ROLLBACK TO a")
  })
  expect([await setting.rows('kept'), await setting.rows('gone')]).toEqual([1, 0])
})

describe('where a backslash escapes the quote, a transaction that is ended in a text that cannot be read', () => {
  const options = '-c standard_conforming_strings=off -c escape_string_warning=off'

  test.each(['COMMIT; BEGIN', 'COMMIT AND CHAIN', 'COMMIT', 'ROLLBACK; BEGIN', 'ROLLBACK AND CHAIN', 'ROLLBACK'])(
    'by %s: is not run again',
    async (end) => {
      await setting.server.query('DELETE FROM ledger')
      let tries = 0
      const work = setting.thaw({ options }).transaction(async (client) => {
        tries++
        await client.query(INSERT, ['money'])
        await client.query(`SELECT 'it\\'s'; ${end}; SELECT 'it\\'s'`)
        await client.query(INSERT, ['later'])
        if (tries === 1) await client.query(CONFLICT)
      })
      expect(await failure(work)).toBeInstanceOf(TransactionUseError)
      expect([tries, await setting.rows('money')]).toEqual([1, end.startsWith('COMMIT') ? 1 : 0])
    },
  )

  test('and its connection is lost behind that: nor then', async () => {
    let tries = 0
    const lost = setting.proxy.loseNextRequest({ containing: 'lose' })
    const work = setting.thaw({ options }).transaction(async (client) => {
      tries++
      await client.query(INSERT, ['half'])
      await client.query("SELECT 'it\\'s'; COMMIT; BEGIN; SELECT 'it\\'s'")
      await client.query("SELECT 'lose'")
    })
    expect(await failure(work)).toBeInstanceOf(TransactionUseError)
    await lost.struck
    expect([tries, await setting.rows('half')]).toEqual([1, 1])
  })

  test('and one whose text only looks like that is stored', async () => {
    await setting.thaw({ options }).transaction(async (client) => {
      await client.query(INSERT, ['quoted'])
      await client.query("SELECT 'it\\'s the end; commit'; SELECT 'it\\'s'")
    })
    expect(await setting.rows('quoted')).toBe(1)
  })
})
