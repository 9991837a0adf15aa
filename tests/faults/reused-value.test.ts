/**
 * A value that its caller uses again while its statement is under way.
 *
 * What breaks: a buffer of a pool of buffers, or an object, is filled anew once the statement has left; then the statement is lost. Who sends it again from the same variables (a retry by hand over
 * plain `pg`) stores the later content as the earlier event. Thaw sends a second time what it was first given.
 */

import type { Pool } from '@thaw/pg'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { useSetting } from './setting.ts'

const setting = useSetting()

/** Each with what makes it another. */
const VALUES: Record<string, () => { value: unknown; change: () => void }> = {
  'a buffer': () => {
    const value = Buffer.from('first')
    return { value, change: () => void value.write('later') }
  },
  bytes: () => {
    const value = new Uint16Array([1, 2, 3])
    return { value, change: () => void value.fill(9) }
  },
  'a view of bytes': () => {
    const value = new DataView(new Uint8Array([1, 2, 3]).buffer, 1)
    return { value, change: () => value.setUint8(0, 9) }
  },
  'a list of buffers': () => {
    const value = [[Buffer.from('first')], [Buffer.from('second')]]
    return { value, change: () => void value[0]?.[0]?.write('later') }
  },
  'a time': () => {
    const value = new Date(0)
    return { value, change: () => void value.setTime(9) }
  },
  'an object': () => {
    const value = { amount: 1, of: { what: 'tea' } }
    return { value, change: () => void Object.assign(value.of, { what: 'gold' }) }
  },
  'a list of objects': () => {
    const value = [{ what: 'tea' }]
    return { value, change: () => void value.push({ what: 'gold' }) }
  },
  'a class that says what is sent': () => {
    const value = { bytes: Buffer.from('first'), toPostgres: (prepare: (value: unknown) => unknown) => prepare(value.bytes) }
    return { value, change: () => void value.bytes.write('later') }
  },
}

const TYPES: Record<string, string> = {
  'a list of buffers': 'bytea[]',
  'a time': 'timestamptz',
  'an object': 'json',
  'a list of objects': 'json[]',
}

const TEXT = (type: string) => `INSERT INTO values_of SELECT $1, $2::${type}::text`

const CALLS: Record<string, (pool: Pool, id: string, type: string, value: unknown) => Promise<unknown>> = {
  'a key': (pool, id, type, value) => pool.query({ text: TEXT(type), values: [id, value], idempotencyKey: id }),
  'a batch under a key': (pool, id, type, value) => pool.batch([{ text: TEXT(type), values: [id, value] }], { idempotencyKey: id }),
  'a batch': (pool, id, type, value) => pool.batch([{ text: TEXT(type), values: [id, value] }]),
  once: (pool, id, type, value) => pool.query({ text: TEXT(type), values: [id, value], once: true }),
  'a batch, once': (pool, id, type, value) => pool.batch([{ text: TEXT(type), values: [id, value] }], { once: true }),
}

beforeAll(() => setting.server.query('CREATE TABLE values_of (id text, value text)'))
beforeEach(async () => {
  await setting.server.query('TRUNCATE values_of; DROP TABLE IF EXISTS thaw_idempotency')
  await setting.thaw().createIdempotencyTable()
})

describe.each(Object.keys(CALLS))('%s', (call) => {
  test.each(Object.keys(VALUES))('%s', async (name) => {
    const pool = setting.thaw({ max: 2, trustMillis: 60_000 })
    await pool.batch(['SELECT 1'])
    const type = TYPES[name] ?? 'bytea'
    const send = (id: string, value: unknown) => (CALLS[call] as (typeof CALLS)[string])(pool, id, type, value)
    const { value, change } = (VALUES[name] as (typeof VALUES)[string])()
    await setting.plain().query(TEXT(type), ['as it was', value])
    const lost = setting.proxy.loseNextRequest({ containing: 'to be lost', cut: 'rst' })
    const work = send('to be lost', value)
    await lost.struck
    change()
    await work
    const { rows } = await setting.server.query('SELECT DISTINCT value FROM values_of')
    expect(rows).toHaveLength(1)
    expect((await setting.server.query('SELECT FROM values_of')).rowCount).toBe(2)
    if (call === 'a key')
      expect(await send('to be lost', (VALUES[name] as (typeof VALUES)[string])().value)).toMatchObject({ repeated: true })
  })
})
