import fc from 'fast-check'
import { expect, test } from 'vitest'
import { runs } from '../test/runs.ts'
import { BACKOFF_BASE_MILLIS, BACKOFF_CAP_MILLIS, backoffMillis } from './backoff.ts'

const FOREVER = Number.POSITIVE_INFINITY

const ceilings: readonly [sentence: string, attempt: number, remaining: number, ceiling: number][] = [
  ['the first wait is at most 10 ms', 0, FOREVER, 10],
  ['the second at most twice that', 1, FOREVER, 20],
  ['the seventh at most 640 ms', 6, FOREVER, 640],
  ['the eighth reaches the cap', 7, FOREVER, 1000],
  ['no later one exceeds it', 50, FOREVER, 1000],
  ['not even after more attempts than doubling can count', 5000, FOREVER, 1000],
  ['a fifth of what is left is the most', 10, 800, 160],
  ['a short deadline shortens even the first', 0, 25, 5],
  ['when the time is up there is no wait', 3, 0, 0],
  ['nor when it has been up for a while', 3, -700, 0],
]

test.each(ceilings)('%s', (_, attempt, remaining, ceiling) => {
  expect(backoffMillis(attempt, remaining, 1)).toBe(ceiling)
  expect(backoffMillis(attempt, remaining, 0.5)).toBe(ceiling / 2)
  expect(backoffMillis(attempt, remaining, 0)).toBe(0)
})

test('the figures are those of the design', () => {
  expect({ BACKOFF_BASE_MILLIS, BACKOFF_CAP_MILLIS }).toEqual({ BACKOFF_BASE_MILLIS: 10, BACKOFF_CAP_MILLIS: 1000 })
})

const attempt = fc.nat(2000)
const remaining = fc.oneof(fc.integer({ min: -1000, max: 1_000_000 }), fc.constant(FOREVER))
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

test('a wait is never negative, never above the cap, and leaves at least four fifths of the time', () => {
  fc.assert(
    fc.property(attempt, remaining, random, (n, left, drawn) => {
      const wait = backoffMillis(n, left, drawn)
      expect(wait).toBeGreaterThanOrEqual(0)
      expect(wait).toBeLessThanOrEqual(BACKOFF_CAP_MILLIS)
      expect(wait).toBeLessThanOrEqual(Math.max(0, left / 5))
    }),
    runs(500),
  )
})

test('with the same luck a later attempt never waits less', () => {
  fc.assert(
    fc.property(attempt, remaining, random, (n, left, drawn) => {
      expect(backoffMillis(n + 1, left, drawn)).toBeGreaterThanOrEqual(backoffMillis(n, left, drawn))
    }),
    runs(500),
  )
})
