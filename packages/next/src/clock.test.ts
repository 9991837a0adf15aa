import { afterEach, expect, test, vi } from 'vitest'
import { nextClock } from './clock.ts'

afterEach(() => vi.restoreAllMocks())

test('tells the time past what has been put in front of it', () => {
  const before = Date.now()
  const now = vi.spyOn(Date, 'now')
  const random = vi.spyOn(Math, 'random')
  const { wall, mono } = { wall: nextClock().wall(), mono: nextClock().mono() }
  const drawn = [nextClock().random(), nextClock().random()]
  expect([now, random].map((spy) => spy.mock.calls.length)).toEqual([0, 0])
  vi.restoreAllMocks()
  expect(wall).toBeGreaterThanOrEqual(before)
  expect(wall).toBeLessThanOrEqual(Date.now())
  expect(mono).toBeLessThanOrEqual(performance.now())
  expect(new Set(drawn).size).toBe(2)
})
