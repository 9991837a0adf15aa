import { expect, test } from 'vitest'
import { serverRefusalOf } from './server-refusal.ts'

const refused = (code: string, message: string, severity = 'FATAL') => Object.assign(new Error(message), { code, severity })

test.each([
  ['53300', 'désolé, trop de clients sont déjà connectés', 'full'],
  ['57P03', 'le système de bases de données se lance', 'unready'],
  ['XX000', 'sorry, too many clients already', 'full'],
  ['XX000', 'too many connections for role "app"', 'full'],
  ['XX000', 'the database system is not yet accepting connections', 'unready'],
  ['XX000', '(EAUTHQUERY) authentication query failed: sorry, too many clients already', 'full'],
  ['XX000', 'Tenant or user not found', undefined],
  ['08P01', 'sorry, too many clients already', undefined],
])('%s %s: %s', (code, message, expected) => {
  expect(serverRefusalOf(refused(code, message))).toBe(expected)
})

test('words in what a statement says are none', () => {
  expect(serverRefusalOf(refused('XX000', 'sorry, too many clients already', 'ERROR'))).toBeUndefined()
  expect(serverRefusalOf(new Error('sorry, too many clients already'))).toBeUndefined()
  expect(serverRefusalOf(undefined)).toBeUndefined()
})
