import { expect, test } from 'vitest'
import { createAmbushes, type LoseRequestOptions } from './ambush.ts'

const query = (sql: string): Buffer => Buffer.from(`Q\0\0\0\x00${sql}\0`)
const SYNC = Buffer.from([0x53, 0, 0, 0, 4])
const LONG = query('SELECT 1 /* long enough for a request */')

test.each<[string, LoseRequestOptions, Buffer, boolean]>([
  ['a bare Sync is no request', {}, SYNC, false],
  ['nor is one inside TLS', {}, Buffer.alloc(27), false],
  ['a statement is', {}, LONG, true],
  ['a short one is if its text is asked for', { containing: 'COMMIT' }, query('COMMIT'), true],
  ['another is not', { containing: 'COMMIT' }, LONG, false],
  ['nor is it if it is too short as well', { containing: 'COMMIT', minBytes: 100 }, query('COMMIT'), false],
  ['a Sync is one for those who say so', { minBytes: 5 }, SYNC, true],
])('%s', (_, options, chunk, isTaken) => {
  const ambushes = createAmbushes()
  ambushes.lay('request', options)
  expect(ambushes.take(chunk) !== undefined).toBe(isTaken)
})

test('each strikes once, the oldest that matches first', () => {
  const ambushes = createAmbushes()
  ambushes.lay('answer', { containing: 'COMMIT' })
  ambushes.lay('request', {})
  const called = ambushes.lay('answer', {})
  ambushes.lay('answer', {})
  called.cancel()
  expect([LONG, LONG, LONG].map((chunk) => ambushes.take(chunk)?.target)).toEqual(['request', 'answer', undefined])
  expect(ambushes.take(query('COMMIT'))?.target).toBe('answer')
})
