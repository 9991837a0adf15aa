import { expect, test } from 'vitest'
import { classify, codeOf, FAILURES, type FailureRow } from './classify.ts'

const all = [...FAILURES.values()]
const codes = (wanted: (row: FailureRow) => boolean) =>
  all
    .filter(wanted)
    .map(({ code }) => code)
    .sort()

test.each(all.map((row) => [row.code, row] as const))('%s is a SQLSTATE or an errno, is explained, and has a source', (code, row) => {
  expect(FAILURES.get(code)).toBe(row)
  expect(code).toMatch(/^(?:(?=.*\d)[0-9A-Z]{5}|E[A-Z_]+)$/)
  expect(row.says).toMatch(/^[a-z].{8,60}[^.]$/)
  expect(row.source).toMatch(/^https:\/\/(www\.postgresql\.org\/docs|man7\.org\/linux\/man-pages)\/[a-z0-9/.-]+\.html$/)
})

test('a SQLSTATE is explained by PostgreSQL, an errno by the manual of the system', () => {
  for (const { code, source } of all) expect(source.includes('postgresql.org')).toBe(/\d/.test(code))
})

test('no code has two rows', () => {
  // A Map would hide the second: the codes that are tested below are all there are.
  expect(FAILURES.size, 'a new row: raise this number, and name its code in the lists below').toBe(25)
  expect(new Set(all.map(({ code }) => code)).size).toBe(FAILURES.size)
})

test('a failure that cannot pass is not retried', () => {
  expect(codes(({ dial }) => dial === 'fail')).toEqual(['25P03', '25P04', '28000', '3D000'])
})

test('only a wrong password is asked for once more', () => {
  expect(codes(({ dial }) => dial === 'password')).toEqual(['28P01'])
})

test('everything else is retried', () => {
  expect(codes(({ dial }) => dial === 'again')).toEqual([
    '08000',
    '08001',
    '08003',
    '08006',
    '53300',
    '57P01',
    '57P02',
    '57P03',
    '57P05',
    'EAI_AGAIN',
    'ECONNABORTED',
    'ECONNREFUSED',
    'ECONNRESET',
    'EHOSTDOWN',
    'EHOSTUNREACH',
    'ENETDOWN',
    'ENETUNREACH',
    'ENOTFOUND',
    'EPIPE',
    'ETIMEDOUT',
  ])
})

test('only a crash of the server evicts the siblings', () => {
  expect(codes(({ siblings }) => siblings === 'evict')).toEqual(['57P02'])
})

test('what concerns one session or one caller leaves the siblings unharmed', () => {
  expect(codes(({ siblings }) => siblings === 'unharmed')).toEqual([
    '25P03',
    '25P04',
    '28000',
    '28P01',
    '3D000',
    '53300',
    '57P05',
    'EAI_AGAIN',
    'ENOTFOUND',
  ])
})

test('only a name that was not found ends no connection', () => {
  expect(codes(({ ends }) => !ends)).toEqual(['EAI_AGAIN', 'ENOTFOUND'])
})

const unknown: readonly [sentence: string, error: unknown][] = [
  ['a unique violation', Object.assign(new Error('duplicate key'), { code: '23505' })],
  ['a cancelled statement', { code: '57014' }],
  ['an error without a code', new Error('Connection terminated unexpectedly')],
  ['a code that is a number', { code: 57 }],
  ['the name of an inherited property', { code: 'constructor' }],
  ['no error at all', undefined],
  ['null', null],
  ['a string that is a code', 'ECONNRESET'],
]

test.each(unknown)('%s is nothing that Thaw knows', (_, error) => {
  expect(classify(error)).toBeUndefined()
})

test('messages are never looked at', () => {
  expect(classify(new Error('57P01 ECONNRESET'))).toBeUndefined()
  expect(classify({ code: '57P01', message: 'der Verwalter hat die Verbindung beendet' })?.siblings).toBe('suspect')
})

test.each<[sentence: string, error: unknown, code: string | undefined]>([
  ['a socket error', Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', errno: -104 }), 'ECONNRESET'],
  ['an error whose code is inherited', Object.create({ code: '57P01' }), '57P01'],
  ['a code that is a number', { code: 104 }, undefined],
  ['an error without one', new Error('lost'), undefined],
  ['nothing', undefined, undefined],
  ['null', null, undefined],
  ['a string', 'EPIPE', undefined],
  ['a function', Object.assign(() => {}, { code: 'EPIPE' }), undefined],
])('the code of %s', (_, error, code) => {
  expect(codeOf(error)).toBe(code)
})
