import { getSystemErrorMap } from 'node:util'
import { expect, test } from 'vitest'
import { errnoOf } from './errno.ts'

test.for(['ECONNRESET', 'EPIPE', 'ETIMEDOUT'] as const)('%s has the number that Node gives it here', (code) => {
  expect(getSystemErrorMap().get(errnoOf(code))?.[0]).toBe(code)
})
