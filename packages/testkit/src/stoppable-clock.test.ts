import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createStoppableClock, type StoppableClock } from './stoppable-clock.ts'

const STOP_MILLIS = 60

/** How far each clock moved while something was done. */
async function moved(clock: StoppableClock, deed: () => unknown): Promise<{ wall: number; mono: number }> {
  const before = { wall: clock.wall(), mono: clock.mono() }
  await deed()
  return { wall: clock.wall() - before.wall, mono: clock.mono() - before.mono }
}

const waitForTimer = (clock: StoppableClock, millis: number) => new Promise<void>((resolve) => void clock.setTimer(resolve, millis))

test('shows the real time until it is told otherwise', async () => {
  const clock = createStoppableClock()
  expect(Math.abs(clock.wall() - Date.now())).toBeLessThan(1_000)
  const { wall, mono } = await moved(clock, () => waitForTimer(clock, STOP_MILLIS))
  expect(wall).toBeGreaterThanOrEqual(STOP_MILLIS - 1)
  expect(mono).toBeGreaterThanOrEqual(STOP_MILLIS - 1)
  expect(clock.random()).toBeLessThan(1)
  await new Promise<void>((resolve) => clock.turn?.(resolve))
})

describe('stop', () => {
  test.each([
    ['mono', { wall: 'went on', mono: 'stood' }],
    ['wall', { wall: 'stood', mono: 'went on' }],
    ['both', { wall: 'stood', mono: 'stood' }],
  ] as const)('%s', async (which, expected) => {
    const clock = createStoppableClock()
    clock.stop(which)
    const stopped = await moved(clock, () => sleep(STOP_MILLIS))
    const describeMove = (millis: number): string => (millis === 0 ? 'stood' : 'went on')
    expect({ wall: describeMove(stopped.wall), mono: describeMove(stopped.mono) }).toEqual(expected)
    const resumed = await moved(clock, () => {
      clock.resume()
      clock.resume()
      return sleep(STOP_MILLIS)
    })
    expect(resumed.wall).toBeGreaterThanOrEqual(STOP_MILLIS - 2)
    expect(resumed.mono).toBeGreaterThanOrEqual(STOP_MILLIS - 2)
  })

  test('a timer has as long to go as when the clock stopped', async () => {
    const clock = createStoppableClock()
    let hasFired = false
    const { mono } = await moved(clock, async () => {
      const fired = waitForTimer(clock, STOP_MILLIS).then(() => {
        hasFired = true
      })
      clock.stop()
      await sleep(STOP_MILLIS + 40)
      expect(hasFired).toBe(false)
      clock.resume()
      await fired
    })
    expect(mono).toBeGreaterThanOrEqual(STOP_MILLIS - 2)
  })

  test('another stop replaces the first', async () => {
    const clock = createStoppableClock()
    clock.stop('both')
    clock.stop('wall')
    expect((await moved(clock, () => sleep(STOP_MILLIS))).mono).toBeGreaterThan(0)
  })
})

test('minutes pass on the wall in no time', async () => {
  const clock = createStoppableClock()
  const { wall, mono } = await moved(clock, () => clock.addWall(300_000))
  expect(wall).toBeGreaterThanOrEqual(300_000)
  expect(mono).toBeLessThan(1_000)
})

test('what is subtracted from the monotonic clock is added to the wait of its timers', async () => {
  const clock = createStoppableClock()
  const began = performance.now()
  const fired = waitForTimer(clock, STOP_MILLIS)
  const { mono } = await moved(clock, () => clock.subtractMono(STOP_MILLIS))
  expect(mono).toBeLessThanOrEqual(performance.now() - began - STOP_MILLIS)
  await fired
  expect(performance.now() - began).toBeGreaterThanOrEqual(2 * STOP_MILLIS - 2)
})

test('a timer that is cleared does not fire, stopped or not', async () => {
  const clock = createStoppableClock()
  let fires = 0
  const first = clock.setTimer(() => fires++, 10)
  clock.stop()
  const second = clock.setTimer(() => fires++, 10, true)
  clock.clearTimer(first)
  clock.resume()
  clock.clearTimer(second)
  clock.clearTimer(undefined)
  await sleep(30)
  expect(fires).toBe(0)
})

test('a timer may take longer than setTimeout can', async () => {
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => void warnings.push(warning)
  process.on('warning', onWarning)
  const clock = createStoppableClock()
  let fires = 0
  const timer = clock.setTimer(() => fires++, 2 ** 31 + 1_000)
  await sleep(20)
  clock.clearTimer(timer)
  process.off('warning', onWarning)
  expect([fires, warnings]).toEqual([0, []])
})
