import { expect, test } from 'vitest'
import { mayEndSession, saysError } from './severity.ts'

const messages: readonly [sentence: string, message: object, mayEnd: boolean][] = [
  ['an ordinary error answers', { severity: 'ERROR', code: '23505' }, false],
  ['in any language', { severity: 'ОШИБКА', code: '23505' }, false],
  ['a syntax error answers', { severity: 'ERROR', code: '42601' }, false],
  ['an internal error, perhaps of a proxy', { severity: 'ERROR', code: 'XX000' }, true],
  ['a system error, perhaps of a proxy', { severity: 'ERROR', code: '58000' }, true],
  ['FATAL may be the end, whatever its code', { severity: 'FATAL', code: '08P01' }, true],
  ['so may PANIC', { severity: 'PANIC', code: '23505' }, true],
  ['a word that we do not know', { severity: '致命错误', code: '23505' }, true],
  ['no severity at all', { code: '23505' }, true],
  ['no code and no severity', {}, true],
  ['a code that ends sessions, raised as an error', { severity: 'ERROR', code: '57P01' }, true],
  ["a connection exception, a proxy's or dblink's", { severity: 'ERROR', code: '08006' }, true],
]

test.each(messages)('%s', (_, message, mayEnd) => {
  expect(mayEndSession(message)).toBe(mayEnd)
})

test('ERROR is known in the languages of PostgreSQL', () => {
  // de, es and ja, fr, it, ka, ko, pl, pt_BR, ru, sv, tr, uk, zh_CN, zh_TW
  const words = [
    'FEHLER',
    'ERROR',
    'ERREUR',
    'ERRORE',
    'შეცდომა',
    '오류',
    'BŁĄD',
    'ERRO',
    'ОШИБКА',
    'FEL',
    'HATA',
    'ПОМИЛКА',
    '错误',
    '錯誤',
  ]
  expect(words.filter((severity) => !saysError({ severity }))).toEqual([])
})
