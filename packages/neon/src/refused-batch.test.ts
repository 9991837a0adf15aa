/**
 * A batch of what cannot be one: on a connection and over HTTP alike an `OptionError` before anything is sent. Neon's `sql.transaction()` sends LISTEN and COPY, whose answers are lost, and values that
 * are no array end in a TypeError.
 */

import * as stock from '@neondatabase/serverless'
import { OptionError } from '@thaw/core'
import { afterEach, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from '../test/one-neon.ts'
import { Pool } from './index.ts'

useOneNeon()

const REFUSED: readonly (readonly [name: string, statements: unknown, options?: object])[] = [
  ['LISTEN', ['select 1', 'listen x']],
  ['COPY', ['copy (select 1) to stdout']],
  ['COPY behind a comment in a comment', ['/* /* */ */ copy (select 1) to stdout']],
  ['DO', ['do $$ begin end $$']],
  ['VACUUM', ['vacuum']],
  ['ALTER SYSTEM', ["alter system set work_mem = '9MB'"]],
  ['CREATE DATABASE', ['create/**/database zz']],
  ['CREATE TABLESPACE', ["create tablespace zz location '/nowhere'"]],
  ['COMMIT', ['select 1', 'commit']],
  [
    'two texts under one name',
    [
      { name: 'n', text: 'select 1' },
      { name: 'n', text: 'select 2' },
    ],
  ],
  ['values that are no array', [{ text: 'select $1', values: { a: 1 } }]],
  ['a statement of its own', [{ text: 'select 1', once: true }]],
  ['a statement that is none', ['select 1', null]],
  ['no statement', []],
  ['an option that is not known', ['select 1'], { retries: 1 }],
  ['once that is null', ['select 1'], { once: null }],
  ['options that are null', ['select 1'], null as never],
]

describe.each([
  ['over HTTP', true],
  ['on a connection', false],
])('%s', (_name, isHttp) => {
  afterEach(() => {
    stock.neonConfig.poolQueryViaFetch = false
  })

  test.each(REFUSED)('%s', async (_what, statements, options) => {
    stock.neonConfig.poolQueryViaFetch = isHttp
    const pool = new Pool({ connectionString: neon.url })
    const batch = async () => pool.batch(statements as string[], options as object)
    await expect(batch()).rejects.toBeInstanceOf(OptionError)
    expect(pool.totalCount).toBe(0)
    await pool.end()
  })
})
