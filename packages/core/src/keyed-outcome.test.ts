import { expect, test } from 'vitest'
import { fingerprintOf } from './fingerprint.ts'
import { judgeKey } from './keyed-outcome.ts'

const row = { fingerprint: 'a', generation: 3 }

test.each([
  ['nobody has the key', undefined, { step: 'send' }],
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
    ['insert', ['1', '2']],
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
