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

test('the fake timers of a test, installed after we were loaded, move nothing of ours', async () => {
  const real = read(systemClock)
  vi.useFakeTimers({ now: 5000, toFake: ['Date', 'performance', 'setTimeout', 'clearTimeout', 'setImmediate'] })
  const random = vi.spyOn(Math, 'random').mockReturnValue(0.5)
  try {
    vi.advanceTimersByTime(3_600_000)
    const now = read(systemClock)
    expect(now.wall).toBeGreaterThanOrEqual(real.wall)
    expect(elapsedMillis(real, now)).toBeLessThan(60_000)
    const stopped = vi.fn()
    systemClock.clearTimer(systemClock.setTimer(stopped, 1))
    await new Promise<void>((resolve) => systemClock.setTimer(resolve, 5))
    await new Promise<void>((resolve) => systemClock.turn?.(resolve))
    expect(stopped).not.toHaveBeenCalled()
    expect(new Set([1, 2, 3].map(() => systemClock.random())).size).toBe(3)
  } finally {
    random.mockRestore()
    vi.useRealTimers()
  }
})

test('nor do those that were installed before', async () => {
  const real = read(systemClock)
  vi.useFakeTimers({ now: 5000, toFake: ['Date', 'performance', 'setTimeout', 'clearTimeout', 'setImmediate'] })
  vi.resetModules()
  try {
    const { systemClock: clock } = await import('./clock.ts')
    vi.advanceTimersByTime(3_600_000)
    expect(clock.wall() - real.wall).toBeLessThan(60_000)
    const before = read(clock)
    const stopped = vi.fn()
    clock.clearTimer(clock.setTimer(stopped, 1))
    await new Promise<void>((resolve) => clock.setTimer(resolve, 50, true))
    await new Promise<void>((resolve) => clock.turn?.(resolve))
    expect(stopped).not.toHaveBeenCalled()
    const now = read(clock)
    expect(now.wall).toBeGreaterThanOrEqual(before.wall + 40)
    expect(now.mono).toBeGreaterThanOrEqual(before.mono + 40)
  } finally {
    vi.useRealTimers()
  }
})

/** The module, loaded where the runtime's timers are these. */
async function loadedWith(setTimeout: unknown) {
  vi.stubGlobal('setTimeout', setTimeout)
  vi.resetModules()
  try {
    return (await import('./clock.ts')).systemClock
  } finally {
    vi.unstubAllGlobals()
  }
}

test.each<[sentence: string, background: boolean | undefined, unrefs: number]>([
  ['a timer in the background does not keep the process alive', true, 1],
  ['a timer keeps the process alive', false, 0],
  ['a timer keeps the process alive unless told otherwise', undefined, 0],
])('%s', async (_, background, unrefs) => {
  const unref = vi.fn()
  const clock = await loadedWith(() => ({ unref }))
  clock.setTimer(() => {}, 10, background)
  expect(unref).toHaveBeenCalledTimes(unrefs)
})

test('a runtime whose timers are numbers has background timers, too', async () => {
  const clock = await loadedWith(() => 7)
  expect(clock.setTimer(() => {}, 10, true)).toBe(7)
})

test.each([2 ** 31, 3_000_000_000, Number.POSITIVE_INFINITY])('a timer of %d ms does not fire at once', async (millis) => {
  const asked: number[] = []
  const clock = await loadedWith((_: () => void, given: number) => void asked.push(given))
  clock.setTimer(() => {}, millis)
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

test('a setImmediate that throws, as in the Edge routes of Next.js, is none', async () => {
  const refuse = () => {
    throw new Error('A Node.js API is used (setImmediate) which is not supported in the Edge Runtime.')
  }
  vi.stubGlobal('setImmediate', refuse)
  vi.resetModules()
  const { systemClock: clock } = await import('./clock.ts')
  const turned = vi.fn()
  clock.turn?.(turned)
  expect(turned).toHaveBeenCalledTimes(1)
  vi.unstubAllGlobals()
})
