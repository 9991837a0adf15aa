/** The rows of an answer are those of node-postgres, to the last key; what they are copies of is made in another way. Plain pg beside it. */

import stock from 'pg'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { server, useOneServer } from '../test/one-server.ts'
import { Pool } from './index.ts'

useOneServer()

let plain: stock.Pool
let pool: Pool

beforeAll(() => {
  plain = new stock.Pool({ connectionString: server.url, max: 1 })
  pool = new Pool({ connectionString: server.url, max: 1 })
})

afterAll(() => Promise.all([plain.end(), pool.end()]))

/** All that can be seen of it: order of keys, prototypes and columns. */
function seen(result: stock.QueryResult): unknown {
  const rows = result.rows.map((row) => ({ entries: Object.entries(row), prototype: Object.getPrototypeOf(row) === Object.prototype }))
  const { command, rowCount, oid, fields } = result
  return { rows, command, rowCount, oid, fields: fields.map((field) => ({ ...field })), keys: Object.keys(result) }
}

/** The same, of one answer or of several. */
const all = (result: stock.QueryResult | stock.QueryResult[]) => [result].flat().map(seen)

const types = { getTypeParser: (type: number, format: string) => (value: unknown) => `${type} ${format} ${value}` } as never

test.each<[string, string | stock.QueryConfig]>([
  ['one column', 'select 1 as n'],
  [
    'of several types, and null',
    "select 1 as n, 'two' as text, null as nothing, true as yes, '{1,2}'::int[] as list, '{\"a\":1}'::json as json",
  ],
  ['none', 'select'],
  ['no row', 'select 1 as n where false'],
  ['no answer with rows', 'set work_mem = 4096'],
  ['two of one name', 'select 1 as n, 2 as n, 3 as m'],
  ['names that are numbers come first in an object', 'select 1 as b, 2 as "10", 3 as "2", 4 as a'],
  ['__proto__ is a name as any other', `select 1 as a, '{"evil":1}'::json as "__proto__", 2 as b`],
  ['constructor and toString', 'select 1 as constructor, 2 as "toString", 3 as "hasOwnProperty"'],
  ['forty of them', `select ${Array.from({ length: 40 }, (_, index) => `${index} as column_${index}`).join(', ')}`],
  ['more than PostgreSQL keeps in one packet', "select n, repeat('x', 1000) as filler from generate_series(1, 500) n"],
  ['several statements of one text', 'select 1 as a; select 2 as b, 3 as c; select 4 as a'],
  ['with values', { text: 'select $1::int as n, $2::text as t', values: [1, 'x'] }],
  ['as arrays', { text: 'select 1 as a, 2 as a', rowMode: 'array' } as stock.QueryConfig],
  ['with types of its own', { text: 'select 1 as a, now() is null as b', types }],
  ['as bytes', { text: 'select $1::int as n', values: [7], binary: true } as stock.QueryConfig],
  ['under a name, twice', { name: 'mine', text: 'select $1::int as n', values: [7] }],
])('%s', async (_, query) => {
  for (let turn = 0; turn < 2; turn++) expect(all(await pool.query(query as string))).toEqual(all(await plain.query(query as string)))
})

test('of names that `Object.prototype` has, where it does not let them be set', async () => {
  const query = 'select 1 as a, 2 as constructor, 3 as "isPrototypeOf"'
  const { isPrototypeOf: value } = Object.prototype
  const set = (property: PropertyDescriptor) => Object.defineProperty(Object.prototype, 'isPrototypeOf', property)
  onTestFinished(() => void set({ value, writable: true, enumerable: false, configurable: true }))
  // As it is where it is frozen.
  set({ value, writable: false })
  expect(all(await pool.query(query))).toEqual(all(await plain.query(query)))
  set({ get: () => value, set: () => {} })
  expect(all(await pool.query(query))).toEqual(all(await plain.query(query)))
})

test('a Query with listeners of its rows', async () => {
  const rowsOf = async (client: stock.PoolClient) => {
    const rows: unknown[] = []
    const query = client.query(new stock.Query('select n, n * 2 as twice from generate_series(1, 3) n'))
    query.on('row', (row, result) => rows.push([row, result?.rows.length]))
    const result = await new Promise<stock.QueryResult>((resolve) => query.on('end', resolve))
    client.release()
    return { rows, kept: result.rows }
  }
  expect(await rowsOf(await pool.connect())).toEqual(await rowsOf(await plain.connect()))
})

describe('what is put in the place of a method of pg is called, before and after it was seen as it is', () => {
  const TEXT = 'select 1 as first_name, 2 as last_name'
  const CAMEL = [{ firstName: 1, lastName: 2 }]
  const camel = (name: string) => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())
  type Described = { fields: { name: string }[] }

  // What pg-camelcase and its copies do.
  test('Query#handleRowDescription', async () => {
    const prototype = stock.Query.prototype as unknown as { handleRowDescription(message: Described): void }
    const { handleRowDescription } = prototype
    onTestFinished(() => {
      prototype.handleRowDescription = handleRowDescription
    })
    expect((await pool.query(TEXT)).rows).toEqual([{ first_name: 1, last_name: 2 }])
    prototype.handleRowDescription = function (message) {
      for (const field of message.fields) field.name = camel(field.name)
      return handleRowDescription.call(this, message)
    }
    expect((await pool.query(TEXT)).rows).toEqual(CAMEL)
    prototype.handleRowDescription = handleRowDescription
    expect((await pool.query(TEXT)).rows).toEqual([{ first_name: 1, last_name: 2 }])
  })

  test.each(['a wrapper', 'a copy'])('Result#addFields: %s', async (kind) => {
    const prototype = stock.Result.prototype as unknown as { addFields(fields: Described['fields']): void }
    const { addFields } = prototype
    onTestFinished(() => {
      prototype.addFields = addFields
    })
    await pool.query(TEXT)
    prototype.addFields =
      kind === 'a wrapper'
        ? function (this: unknown, fields) {
            return addFields.call(
              this,
              fields.map((field) => ({ ...field, name: camel(field.name) })),
            )
          }
        : function (this: Record<string, unknown>, fields) {
            const { _types } = this as { _types: { getTypeParser(type: number, format: string): unknown } }
            this['fields'] = fields.map((field) => ({ ...field, name: camel(field.name) }))
            this['_parsers'] = (fields as never as stock.FieldDef[]).map(({ dataTypeID, format }) =>
              _types.getTypeParser(dataTypeID, format),
            )
            this['_prebuiltEmptyResultObject'] = {}
          }
    expect((await pool.query(TEXT)).rows).toEqual(CAMEL)
  })

  test('Client#_handleRowDescription', async () => {
    const prototype = stock.Client.prototype as unknown as { _handleRowDescription(message: Described): void }
    await pool.query(TEXT)
    const spy = vi.spyOn(prototype, '_handleRowDescription')
    onTestFinished(() => spy.mockRestore())
    await pool.query(TEXT)
    expect(spy).toHaveBeenCalledTimes(1)
  })
})

test('a parser that cannot be had is told as by node-postgres: the connection is closed, and the next call is answered', async () => {
  const broken = { getTypeParser: () => undefined } as never
  await expect(plain.query({ text: 'select 1 as n', types: broken })).rejects.toThrow(/is not a function/)
  await expect(pool.query({ text: 'select 1 as n', types: broken })).rejects.toThrow(/is not a function/)
  expect((await pool.query('select 1 as n')).rows).toEqual([{ n: 1 }])
})

test('none of them is made by way of an object without a prototype, as with the pg that is installed', async () => {
  const countFor = async (of: stock.Pool) => {
    const create = vi.spyOn(Object, 'create')
    try {
      for (let turn = 0; turn < 20; turn++) await of.query('select 1 as n, 2 as m')
      return create.mock.calls.filter(([prototype]) => prototype === null).length
    } finally {
      create.mockRestore()
    }
  }
  expect(await countFor(plain)).toBeGreaterThanOrEqual(20)
  expect(await countFor(pool)).toBeLessThan(20)
})
