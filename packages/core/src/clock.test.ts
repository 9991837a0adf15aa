import { expect, test, vi } from 'vitest'
import { createFakeClock, type Stopped } from '../test/fake-clock.ts'
import { elapsedMillis, read, systemClock } from './clock.ts'

const rows: readonly [sentence: string, wall: number, mono: number, elapsed: number][] = [
  ['no time passes', 0, 0, 0],
  ['both clocks agree', 700, 700, 700],
  ['the monotonic clock stood still', 60_000, 12, 60_000],
  ['the wall clock stood still', 0, 60_000, 60_000],
  ['the wall clock was set back', -3_600_000, 40, 40],
  ['the wall clock was set forward', 3_600_000, 40, 3_600_000],
]

test.each(rows)('the elapsed time is the larger answer: %s', (_, wall, mono, elapsed) => {
  expect(elapsedMillis({ wall: 1000, mono: 1000 }, { wall: 1000 + wall, mono: 1000 + mono })).toBe(elapsed)
})

test.each<[Stopped, number]>([
  ['none', 5000],
  ['mono', 5000],
  ['wall', 5000],
  ['both', 0],
])('a freeze of 5 s that stops %s clocks is read as %i ms', (stopped, elapsed) => {
  const clock = createFakeClock()
  const before = read(clock)
  clock.freeze(5000, stopped)
  expect(elapsedMillis(before, read(clock))).toBe(elapsed)
})

test('both clocks are read', () => {
  expect(read({ ...systemClock, wall: () => 7, mono: () => 3 })).toEqual({ wall: 7, mono: 3 })
})

test('the system clock follows fake timers that were installed after it was imported', () => {
  vi.useFakeTimers({ now: 5000 })
  try {
    const before = read(systemClock)
    const called = vi.fn()
    systemClock.setTimer(called, 300)
    vi.advanceTimersByTime(299)
    expect(called).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1)
    expect(called).toHaveBeenCalledOnce()
    expect(systemClock.wall()).toBe(5300)
    expect(elapsedMillis(before, read(systemClock))).toBe(300)
  } finally {
    vi.useRealTimers()
  }
})

test('a cleared timer never calls back', () => {
  vi.useFakeTimers()
  try {
    const called = vi.fn()
    systemClock.clearTimer(systemClock.setTimer(called, 10))
    vi.advanceTimersByTime(1000)
    expect(called).not.toHaveBeenCalled()
  } finally {
    vi.useRealTimers()
  }
})

test.each<[sentence: string, background: boolean | undefined, unrefs: number]>([
  ['a timer in the background does not keep the process alive', true, 1],
  ['a timer keeps the process alive', false, 0],
  ['a timer keeps the process alive unless told otherwise', undefined, 0],
])('%s', (_, background, unrefs) => {
  const unref = vi.fn()
  vi.stubGlobal('setTimeout', () => ({ unref }))
  try {
    systemClock.setTimer(() => {}, 10, background)
  } finally {
    vi.unstubAllGlobals()
  }
  expect(unref).toHaveBeenCalledTimes(unrefs)
})

test('a runtime whose timers are numbers has background timers, too', () => {
  vi.stubGlobal('setTimeout', () => 7)
  try {
    expect(systemClock.setTimer(() => {}, 10, true)).toBe(7)
  } finally {
    vi.unstubAllGlobals()
  }
})

test.each([2 ** 31, 3_000_000_000, Number.POSITIVE_INFINITY])('a timer of %d ms does not fire at once', (millis) => {
  const asked: number[] = []
  vi.stubGlobal('setTimeout', (_: () => void, given: number) => void asked.push(given))
  try {
    systemClock.setTimer(() => {}, millis)
  } finally {
    vi.unstubAllGlobals()
  }
  // The most that a timer's 32 bits hold. Node makes 1 ms of anything longer.
  expect(asked).toEqual([2 ** 31 - 1])
})

test('a turn of the system clock is a turn of the event loop', async () => {
  const order: string[] = []
  await new Promise<void>((resolve) => {
    systemClock.turn?.(() => {
      order.push('turn')
      resolve()
    })
    Promise.resolve().then(() => order.push('microtask'))
  })
  expect(order).toEqual(['microtask', 'turn'])
})

test('chance lies in [0, 1)', () => {
  for (let i = 0; i < 1000; i++) {
    const drawn = systemClock.random()
    expect(drawn >= 0 && drawn < 1).toBe(true)
  }
})
