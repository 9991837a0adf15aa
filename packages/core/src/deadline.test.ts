import { expect, test, vi } from 'vitest'
import { createFakeClock, type FakeClock, type Kernel, type Stopped } from '../test/fake-clock.ts'
import { startDeadline } from './deadline.ts'
import { SWEEP_TURNS } from './sweep.ts'

/** Bytes that arrive at `at` and are seen by JavaScript only in the turn `depth` after that. */
function bytes(clock: FakeClock, at: number, depth: number, seen: () => void): Kernel {
  let left = depth
  return {
    nextArrival: () => (clock.now() < at ? at : Number.POSITIVE_INFINITY),
    pending: () => clock.now() >= at && left > 0,
    poll() {
      if (clock.now() >= at && left > 0 && --left === 0) seen()
    },
  }
}

test('a deadline expires once its time has passed, and not before', () => {
  const clock = createFakeClock()
  const expire = vi.fn()
  startDeadline(clock, 500, expire)
  clock.advance(499)
  expect(expire).not.toHaveBeenCalled()
  clock.advance(1)
  expect(expire.mock.calls).toEqual([[0]])
  clock.advance(10_000)
  expect(expire).toHaveBeenCalledOnce()
})

test('a cancelled deadline never expires, and leaves no timer', () => {
  const clock = createFakeClock()
  const clearTimer = vi.spyOn(clock, 'clearTimer')
  const expire = vi.fn()
  const deadline = startDeadline(clock, 500, expire)
  clock.advance(100)
  deadline.cancel()
  deadline.cancel()
  clock.advance(10_000)
  expect(expire).not.toHaveBeenCalled()
  expect(clearTimer).toHaveBeenCalledOnce()
})

test('cancelling an expired deadline does nothing', () => {
  const clock = createFakeClock()
  const expire = vi.fn()
  const deadline = startDeadline(clock, 1, expire)
  clock.advance(5)
  deadline.cancel()
  clock.advance(5)
  expect(expire).toHaveBeenCalledOnce()
})

test.each<[Stopped]>([['none'], ['wall']])('a timer that a freeze held up tells how late it is (stopped: %s)', (stopped) => {
  const clock = createFakeClock()
  const expire = vi.fn()
  startDeadline(clock, 500, expire)
  clock.advance(200)
  clock.freeze(60_000, stopped)
  expect(expire).not.toHaveBeenCalled()
  clock.advance(0)
  expect(expire.mock.calls).toEqual([[59_700]])
})

test.each<[Stopped]>([['mono'], ['both']])('a freeze that stops the clock of timers is no part of the wait (stopped: %s)', (stopped) => {
  const clock = createFakeClock()
  const expire = vi.fn()
  startDeadline(clock, 500, expire)
  clock.advance(200)
  clock.freeze(60_000, stopped)
  clock.advance(299)
  expect(expire).not.toHaveBeenCalled()
  clock.advance(1)
  expect(expire.mock.calls).toEqual([[0]])
})

test.each(Array.from({ length: SWEEP_TURNS }, (_, i) => [i + 1]))(
  'bytes that arrived during a freeze are believed, though the timer runs before them (seen in turn %i)',
  (depth) => {
    const clock = createFakeClock()
    const expire = vi.fn()
    const deadline = startDeadline(clock, 500, expire)
    clock.attach(bytes(clock, 10_000, depth, () => deadline.cancel()))
    clock.freeze(60_000, 'none')
    clock.advance(1000)
    expect(expire).not.toHaveBeenCalled()
  },
)

test('bytes that come after the deadline change nothing', () => {
  const clock = createFakeClock()
  const expire = vi.fn()
  const deadline = startDeadline(clock, 500, expire)
  clock.attach(bytes(clock, 501, 1, () => deadline.cancel()))
  clock.advance(1000)
  expect(expire).toHaveBeenCalledOnce()
})

test('where the runtime has no turns the timer alone decides', () => {
  const clock = createFakeClock({ turns: false })
  const expire = vi.fn()
  startDeadline(clock, 500, expire)
  clock.advance(500)
  expect(expire).toHaveBeenCalledOnce()
})

test.each([[true], [false]])('background: %s is passed on to the timer', (background) => {
  const clock = createFakeClock()
  const setTimer = vi.spyOn(clock, 'setTimer')
  startDeadline(clock, 500, () => {}, background)
  expect(setTimer.mock.calls[0]?.slice(1)).toEqual([500, background])
})

test('a deadline keeps the process alive unless told otherwise', () => {
  const clock = createFakeClock()
  const setTimer = vi.spyOn(clock, 'setTimer')
  startDeadline(clock, 500, () => {})
  expect(setTimer.mock.calls[0]?.[2]).toBe(false)
})

test('a deadline that is started anew when it expires goes on', () => {
  const clock = createFakeClock()
  const expired: number[] = []
  const again = () => {
    expired.push(clock.now())
    if (expired.length < 3) startDeadline(clock, 100, again)
  }
  startDeadline(clock, 100, again)
  clock.advance(1000)
  expect(expired).toEqual([100, 200, 300])
})
