import { expect, test } from 'vitest'
import { timeoutOf } from './config.ts'

test('the longest of all, also of more statements than a call may have arguments', () => {
  const statements = Array.from({ length: 200_000 }, () => ({ config: 'SELECT 1' as unknown }))
  expect(timeoutOf(statements)).toBe(undefined)
  expect(timeoutOf([{ config: { query_timeout: 20 } }, ...statements, { config: { query_timeout: 50 } }])).toBe(50)
  expect(timeoutOf([{ config: { query_timeout: -5 } }])).toBe(-5)
})
