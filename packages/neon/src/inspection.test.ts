/** What inspects the module without using it: mocks, spreads, loggers. As of Neon's driver. */

import { inspect } from 'node:util'
import { expect, test, vi } from 'vitest'
import * as everything from './index.ts'

vi.mock('./index.ts', { spy: false })

const actual = await vi.importActual<typeof import('./index.ts')>('./index.ts')

test('vi.mock() makes mocks of every class', () => {
  expect(vi.isMockFunction(everything.Pool)).toBe(true)
  expect(vi.isMockFunction(everything.Client)).toBe(true)
  expect(vi.isMockFunction(everything.neon)).toBe(true)
  expect(new everything.Pool()).toBeInstanceOf(everything.Pool)
})

test('spreading the module throws nothing, nor does looking at each of its exports', () => {
  expect({ ...actual }.Pool).toBe(actual.Pool)
  for (const [name, value] of Object.entries(actual)) {
    const look = () => [
      inspect(value),
      `${Object.prototype.toString.call(value)}`,
      (value as { prototype?: unknown } | undefined)?.prototype,
    ]
    expect(look, name).not.toThrow()
  }
})
