import fc from 'fast-check'
import { expect, test } from 'vitest'
import { runs } from '../test/runs.ts'
import { BACKOFF_BASE_MILLIS, BACKOFF_CAP_MILLIS, backoffMillis } from './backoff.ts'

const FOREVER = Number.POSITIVE_INFINITY

const ceilings: readonly [sentence: string, attempt: number, within: number, ceiling: number][] = [
  ['the first wait is at most 10 ms', 0, FOREVER, 10],
  ['the second at most twice that', 1, FOREVER, 20],
  ['the seventh at most 640 ms', 6, FOREVER, 640],
  ['the eighth reaches the cap', 7, FOREVER, 1000],
  ['no later one exceeds it', 50, FOREVER, 1000],
  ['not even after more attempts than doubling can count', 5000, FOREVER, 1000],
  ['a fifth of the whole wait is the most', 10, 800, 160],
  ['a short one shortens even the first', 0, 25, 5],
  ['where there is no time there is no pause', 3, 0, 0],
  ['nor where there is less than none', 3, -700, 0],
]

test.each(ceilings)('%s', (_, attempt, within, ceiling) => {
  expect(backoffMillis(attempt, within, 1)).toBe(ceiling)
  expect(backoffMillis(attempt, within, 0.5)).toBe(ceiling / 2)
  expect(backoffMillis(attempt, within, 0)).toBe(0)
})

test('the figures are those of the design', () => {
  expect({ BACKOFF_BASE_MILLIS, BACKOFF_CAP_MILLIS }).toEqual({ BACKOFF_BASE_MILLIS: 10, BACKOFF_CAP_MILLIS: 1000 })
})

const attempt = fc.nat(2000)
const within = fc.oneof(fc.integer({ min: -1000, max: 1_000_000 }), fc.constant(FOREVER))
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

test('a wait is never negative, never above the cap, and leaves at least four fifths of the time', () => {
  fc.assert(
    fc.property(attempt, within, random, (n, all, drawn) => {
      const wait = backoffMillis(n, all, drawn)
      expect(wait).toBeGreaterThanOrEqual(0)
      expect(wait).toBeLessThanOrEqual(BACKOFF_CAP_MILLIS)
      expect(wait).toBeLessThanOrEqual(Math.max(0, all / 5))
    }),
    runs(500),
  )
})

test('with the same luck a later attempt never waits less', () => {
  fc.assert(
    fc.property(attempt, within, random, (n, all, drawn) => {
      expect(backoffMillis(n + 1, all, drawn)).toBeGreaterThanOrEqual(backoffMillis(n, all, drawn))
    }),
    runs(500),
  )
})
