import { expect, test } from 'vitest'
import { createPaces as create } from './pace.ts'

/** By texts: a test has no need to keep what a pool keeps. */
function createPaces(limit?: number) {
  const paces = create(limit)
  return {
    get roundTripMillis() {
      return paces.roundTripMillis
    },
    workMillis: (text: string) => paces.of(text).millis,
    isSlow: (text: string) => paces.isSlow(paces.of(text)),
    learn: (text: string, tookMillis: number, behindMillis?: number) => paces.learn(paces.of(text), tookMillis, behindMillis),
  }
}

const TEXT = 'select 1'

test('a text that was never seen is slow', () => {
  const paces = createPaces()
  expect(paces.workMillis(TEXT)).toBeUndefined()
  expect(paces.isSlow(TEXT)).toBe(true)
})

test('the round trip is no work', () => {
  const paces = createPaces()
  for (let turn = 0; turn < 50; turn++) paces.learn(TEXT, 20)
  expect(paces.roundTripMillis).toBe(20)
  expect(paces.workMillis(TEXT)).toBeLessThan(1)
  expect(paces.isSlow(TEXT)).toBe(false)
  paces.learn('select 2', 120)
  expect(paces.workMillis('select 2')).toBeGreaterThan(95)
  expect(paces.isSlow('select 2')).toBe(true)
})

test('what was sent ahead of its turn worked from the answer before it, or from when it arrived', () => {
  const paces = createPaces()
  paces.learn(TEXT, 10)
  paces.learn('behind', 100, 3)
  expect(paces.workMillis('behind')).toBe(3)
  paces.learn('late', 12, 9)
  expect(paces.workMillis('late')).toBeCloseTo(2, 1)
})

test('a text that takes long one time in ten stays slow between', () => {
  const paces = createPaces()
  paces.learn(TEXT, 1)
  const slow: boolean[] = []
  for (let turn = 0; turn < 100; turn++) {
    paces.learn('sometimes', turn % 10 === 0 ? 200 : 1)
    for (let other = 0; other < 9; other++) paces.learn(TEXT, 1)
    if (turn > 0) slow.push(paces.isSlow('sometimes'))
  }
  expect(slow).not.toContain(false)
  expect(paces.isSlow(TEXT)).toBe(false)
})

test('a busy machine makes every text take longer, and none of them slow', () => {
  const paces = createPaces()
  paces.learn(TEXT, 1)
  for (let turn = 0; turn < 100; turn++) for (const text of [TEXT, 'select 2', 'select 3']) paces.learn(text, 20)
  expect([TEXT, 'select 2', 'select 3'].map((text) => paces.isSlow(text))).toEqual([false, false, false])
})

test('a freeze in the middle of a statement is forgotten soon', () => {
  const paces = createPaces()
  for (let turn = 0; turn < 50; turn++) paces.learn(TEXT, 1)
  paces.learn(TEXT, 3_600_000)
  for (let turn = 0; turn < 20; turn++) paces.learn(TEXT, 1)
  expect(paces.isSlow(TEXT)).toBe(false)
})

test('remembers so many texts, and those that are still in use the longest', () => {
  const paces = createPaces(10)
  for (let turn = 0; turn < 100; turn++) {
    paces.learn(TEXT, 1)
    paces.learn(`select ${turn}`, 1)
  }
  expect(paces.workMillis(TEXT)).toBeDefined()
  expect(paces.workMillis('select 0')).toBeUndefined()
  expect(paces.workMillis('select 99')).toBeDefined()
})

test('from the first answers on', () => {
  const paces = createPaces()
  for (const millis of [2, 14, 12, 10, 16]) for (const text of [TEXT, 'select 2']) paces.learn(text, millis)
  expect([paces.isSlow(TEXT), paces.isSlow('select 2')]).toEqual([false, false])
})

test('one in ten takes long, and no other text is faster: slow, until they stop', () => {
  const paces = createPaces()
  for (let turn = 0; turn < 100; turn++) paces.learn(TEXT, 1)
  const slow: boolean[] = []
  for (let turn = 0; turn < 200; turn++) {
    paces.learn(TEXT, turn % 10 === 0 ? 200 : 1)
    if (turn > 20) slow.push(paces.isSlow(TEXT))
  }
  expect(slow).not.toContain(false)
  for (let turn = 0; turn < 50; turn++) paces.learn(TEXT, 1)
  expect(paces.isSlow(TEXT)).toBe(false)
})
