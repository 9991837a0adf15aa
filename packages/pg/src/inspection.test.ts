/**
 * What inspects the module without using it: mocks, loggers, snapshots, promises.
 *
 * What broke: `native`, which stands for pg-native and refuses to be used, threw for whatever was asked of it. vitest asks every export for its tag:
 * `vi.mock('@thaw/pg')` threw while the test file was loaded. Plain `pg` lets all of this pass.
 */

import { inspect } from 'node:util'
import stock from 'pg'
import { expect, test, vi } from 'vitest'
import thaw, * as everything from './index.ts'

vi.mock('./index.ts', { spy: false })

const actual = await vi.importActual<typeof import('./index.ts')>('./index.ts')
const native: unknown = actual.native

test('vi.mock() makes mocks of every class, as of pg', () => {
  expect(vi.isMockFunction(everything.Pool)).toBe(true)
  expect(vi.isMockFunction(everything.Client)).toBe(true)
  expect(vi.isMockFunction(thaw.Pool)).toBe(true)
  expect(new everything.Pool()).toBeInstanceOf(everything.Pool)
})

test('spreading the module, or the default export, throws nothing', () => {
  expect({ ...actual }.Pool).toBe(actual.Pool)
  expect({ ...actual.default }.Pool).toBe(actual.Pool)
  expect(Object.values(actual).length).toBeGreaterThan(10)
})

test.each<[string, (value: unknown) => unknown]>([
  ['its tag', (value) => Object.prototype.toString.call(value)],
  ['its text', (value) => `${value}`],
  ['its iterator', (value) => (value as Record<symbol, unknown>)[Symbol.iterator]],
  ['its class', (value) => value instanceof (stock.Pool as never)],
  ['its constructor', (value) => (value as object).constructor],
  ['its prototype', (value) => [Object.getPrototypeOf(value), (value as { prototype?: unknown }).prototype]],
  ['its keys', (value) => [Object.keys(value as object), 'Pool' in (value as object)]],
  ['JSON', (value) => JSON.stringify({ value })],
  ['a log line', (value) => inspect(value)],
  ['a comparison', (value) => expect({ value }).not.toEqual({ value: 1 })],
  ['a snapshot', (value) => expect(value).toMatchInlineSnapshot('{}')],
  ["a bundler's question", (value) => [(value as { __esModule?: unknown }).__esModule, (value as { default?: unknown }).default]],
])('%s of native can be asked for', (_, look) => {
  expect(() => look(native)).not.toThrow()
})

test('it can be awaited', async () => {
  expect(await (native as Promise<unknown>)).toBe(native)
})
