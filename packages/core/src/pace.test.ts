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
    isTiny: (text: string) => paces.isTiny(paces.of(text)),
    learn: (text: string, tookMillis: number, behindMillis?: number, isTogether?: boolean) =>
      paces.learn(paces.of(text), tookMillis, behindMillis, isTogether),
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

/** How many quick uses until the text is quick. */
function quickAfter(paces: ReturnType<typeof createPaces>, tookMillis: number): number {
  for (let use = 1; use <= 5000; use++) {
    paces.learn(TEXT, tookMillis)
    if (!paces.isSlow(TEXT)) return use
  }
  return Number.POSITIVE_INFINITY
}

/** One in a hundred takes 120 ms more. Is it slow when the next one of these is due, when all that counts for a moment is forgotten? */
function slowBeforeTheNext(paces: ReturnType<typeof createPaces>, tookMillis: number, hundreds: number): boolean[] {
  return Array.from({ length: hundreds }, () => {
    for (let use = 1; use < 100; use++) paces.learn(TEXT, tookMillis)
    const isSlow = paces.isSlow(TEXT)
    paces.learn(TEXT, tookMillis + 120)
    return isSlow
  })
}

test('one in a hundred takes 120 ms, the server is near: slow from the fifth of these on, and 700 uses longer than they come', () => {
  const paces = createPaces()
  const slow = slowBeforeTheNext(paces, 0.2, 50)
  expect(slow.indexOf(true)).toBe(5)
  expect(slow.slice(5)).not.toContain(false)
  const uses = quickAfter(paces, 0.2)
  expect(uses).toBeGreaterThan(600)
  expect(uses).toBeLessThan(710)
})

test('the way there is longer than what those behind lose: the same text goes on sharing', () => {
  expect(slowBeforeTheNext(createPaces(), 5, 50)).not.toContain(true)
})

test.each([4, 15, 20, 30])('one in %i takes 100 ms: no gap between what is often slow and what rarely is', (often) => {
  const paces = createPaces()
  const slow: boolean[] = []
  for (let use = 1; use <= 3000; use++) {
    paces.learn(TEXT, use % often === 0 ? 100 : 0.2)
    if (use > 500) slow.push(paces.isSlow(TEXT))
  }
  expect(slow).not.toContain(false)
  expect(quickAfter(paces, 0.2)).toBeLessThan(710)
})

test.each([1, 10])('a stall of two seconds on %i connections at once is no habit', (connections) => {
  const paces = createPaces()
  for (let use = 0; use < 50; use++) paces.learn(TEXT, 0.2)
  for (let connection = 0; connection < connections; connection++) paces.learn(TEXT, 2000)
  expect(quickAfter(paces, 0.2)).toBeLessThan(60)
})

test('a rare slow answer says nothing of the way, and a way that has become longer is learned', () => {
  const paces = createPaces()
  for (let use = 0; use < 50; use++) paces.learn(TEXT, 0.2)
  paces.learn(TEXT, 1000)
  expect(paces.roundTripMillis).toBeCloseTo(0.2)
  for (let use = 0; use < 2000; use++) paces.learn(TEXT, 80)
  expect(paces.roundTripMillis).toBeGreaterThan(75)
  expect(paces.isSlow(TEXT)).toBe(false)
})

/** Ten of one text that went out together, and are answered together. */
function learnTen(paces: ReturnType<typeof createPaces>, text: string, workMillis: number): void {
  paces.learn(text, paces.roundTripMillis + 10 * workMillis, undefined, true)
  for (let behind = 1; behind < 10; behind++) paces.learn(text, paces.roundTripMillis + 10 * workMillis, 0, true)
}

test.each([
  [0.02, true],
  [0.1, false],
  [0.5, false],
])('tiny is what takes the server next to nothing, where several go out together: %d ms each is %s', (workMillis, isTiny) => {
  const paces = createPaces()
  expect(paces.isTiny(TEXT)).toBe(false)
  // Alone it waits for our own thread as well.
  for (let turn = 0; turn < 50; turn++) paces.learn(TEXT, 0.1 + (turn % 10) * 0.03)
  expect(paces.isTiny(TEXT)).toBe(true)
  for (let turn = 0; turn < 50; turn++) learnTen(paces, TEXT, workMillis)
  expect(paces.isTiny(TEXT)).toBe(isTiny)
})

test('what takes milliseconds alone is not even tried', () => {
  const paces = createPaces()
  paces.learn('other', 0.1)
  for (let turn = 0; turn < 50; turn++) paces.learn(TEXT, 2)
  expect([paces.isSlow(TEXT), paces.isTiny(TEXT)]).toEqual([false, false])
})

test('what was not tiny is tried again after 3,000 uses, and after twice as many each time', () => {
  const paces = createPaces()
  paces.learn(TEXT, 0.1)
  const trial = () => {
    while (paces.isTiny(TEXT)) learnTen(paces, TEXT, 1.5)
    let apart = 0
    for (; !paces.isTiny(TEXT); apart++) paces.learn(TEXT, 0.1)
    return apart
  }
  // Each trial has some uses that count as quick: those that are answered with the first.
  for (const expected of [3000, 6000, 12_000, 24_000, 48_000, 96_000, 100_000]) {
    const uses = trial()
    expect(uses).toBeGreaterThan(0.9 * expected)
    expect(uses).toBeLessThanOrEqual(expected)
  }
  for (let use = 0; use < 10_000; use++) paces.learn(TEXT, 0.11, 0.01, true)
  expect(trial()).toBe(3000)
})

test.each([
  ['one in 50 takes 10 ms', 50, 10, false],
  ['one in 100 takes 10 ms', 100, 10, false],
  ['one stall of 10 ms', 2000, 10, true],
])('%s, and those behind it would have been faster elsewhere', (_, often, workMillis, isTiny) => {
  const paces = createPaces()
  paces.learn(TEXT, 0.1)
  for (let use = 0; use < 800; use++) {
    const millis = use % often === 25 ? workMillis : 0.01
    paces.learn(TEXT, 0.1 + millis, millis, true)
  }
  expect(paces.isTiny(TEXT)).toBe(isTiny)
})

test.each([
  [22, 40],
  [30, 300],
  [200, 1500],
])('a slow answer of %d ms, and no read goes out together for the next %d uses', (slowMillis, uses) => {
  const paces = createPaces()
  for (let turn = 0; turn < 50; turn++) paces.learn(TEXT, 0.1)
  paces.learn(TEXT, slowMillis)
  for (let turn = 0; turn < uses; turn++) paces.learn(TEXT, 0.1)
  expect([paces.isSlow(TEXT), paces.isTiny(TEXT)]).toEqual([false, false])
  for (let turn = 0; turn < 150; turn++) paces.learn(TEXT, 0.1)
  expect(paces.isTiny(TEXT)).toBe(true)
})

test('on a busy machine, whose stalls hit all that wait, quick reads stay together; a text with slow answers of its own does not', () => {
  const learnBusy = (isTexts: boolean) => {
    const paces = createPaces()
    paces.learn(TEXT, 0.1)
    for (let burst = 1; burst < 400 && (burst < 40 || paces.isTiny(TEXT)); burst++) {
      // Two by themselves, fifteen together; a stall in one of ten bursts, or a slow answer in one of ten reads.
      for (let alone = 0; alone < 2; alone++) paces.learn(TEXT, 0.4 + ((burst * 2 + alone) % 10 === 0 ? 6 : 0))
      const slow = isTexts ? burst % 5 !== 0 : burst % 10 === 0
      paces.learn(TEXT, 0.25 + (slow ? 6 : 0), undefined, true)
      for (let behind = 1; behind < 15; behind++) paces.learn(TEXT, 0.25 + (slow ? 6 : 0), 0, true)
    }
    return paces.isTiny(TEXT)
  }
  expect([learnBusy(false), learnBusy(true)]).toEqual([true, false])
})
