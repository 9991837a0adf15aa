import { expect, test } from 'vitest'
import { fingerprintOf } from './fingerprint.ts'
import { judgeKey } from './keyed-outcome.ts'

const row = { fingerprint: 'a', generation: 3 }

test.each([
  ['the key is not there', undefined, { step: 'send' }],
  ['it was stored', { ...row, state: 'done' }, { step: 'repeated' }],
  ['a tombstone has it', { ...row, state: 'void' }, { step: 'take over', generation: 3 }],
  ['another statement has it', { ...row, state: 'done', fingerprint: 'b' }, { step: 'mismatch' }],
  ['the tombstone of another statement has it', { ...row, state: 'void', fingerprint: 'b' }, { step: 'mismatch' }],
] as const)('%s', (_name, found, step) => {
  expect(judgeKey(found, 'a')).toEqual(step)
})

test('a fingerprint tells statements apart, and their values', () => {
  const parts = [
    ['insert', [1, 2]],
    ['insert', [12]],
    ['insert', ['1', '3']],
    ['insert', ['1,2']],
    ['insert', [null]],
    ['insert', []],
    ['insert', [{ a: 1 }]],
    ['insert', [new Uint8Array([1, 2])]],
    ['insert', [new Uint8Array([12])]],
    ['update', [1, 2]],
  ]
  expect(new Set(parts.map(fingerprintOf)).size).toBe(parts.length)
  expect(fingerprintOf(['insert', [1n, { a: [1] }]])).toBe(fingerprintOf(['insert', [1n, { a: [1] }]]))
})

test.each<[string, unknown, unknown]>([
  ['a number', 1, '1'],
  ['a bigint', 2n ** 60n, '1152921504606846976'],
  ['a boolean', true, 'true'],
  ['an object', { a: [1] }, '{"a":[1]}'],
  ['what is in an array', [1, true], ['1', 'true']],
  ['nothing', undefined, null],
])('%s is the text that is sent of it: a form and a queue give one request', (_name, value, text) => {
  expect(fingerprintOf(['insert', [value]])).toBe(fingerprintOf(['insert', [text]]))
})

test('a value that says itself what is sent is told by that', () => {
  class Cents {
    readonly #cents: number
    constructor(cents: number) {
      this.#cents = cents
    }
    toPostgres(): string {
      return String(this.#cents)
    }
  }
  const self: object = { toPostgres: () => self }
  const of = (value: unknown) => fingerprintOf(['insert', [[value]]])
  expect(of(new Cents(1))).toBe(of(new Cents(1)))
  expect(new Set([of(new Cents(1)), of(new Cents(2)), of({}), of(self)]).size).toBe(4)
})
