import { expect, test, vi } from 'vitest'
import { createFakeClock, type FakeClock, type Kernel, type Stopped } from '../test/fake-clock.ts'
import { startAbsoluteDeadline, startDeadline } from './deadline.ts'
import { POLL_TURNS } from './poll-sockets.ts'

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

test.each<[Stopped]>([['none'], ['wall']])('a freeze costs a quarter of a second, however long it was (stopped: %s)', (stopped) => {
  const clock = createFakeClock()
  const expire = vi.fn()
  startDeadline(clock, 2000, expire)
  clock.advance(500)
  clock.freeze(60_000, stopped)
  clock.advance(1249)
  expect(expire).not.toHaveBeenCalled()
  clock.advance(1)
  expect(expire.mock.calls).toEqual([[59_750]])
})

test.each([[1], [10], [250], [400]])('a freeze alone lets no deadline expire: of %i ms half is left after it', (millis) => {
  const clock = createFakeClock()
  const expire = vi.fn()
  startDeadline(clock, millis, expire)
  clock.freeze(60_000, 'none')
  clock.advance(0)
  expect(expire).not.toHaveBeenCalled()
  clock.advance(millis)
  expect(expire).toHaveBeenCalledOnce()
})

test.each<[Stopped]>([['none'], ['wall']])('an absolute deadline that a freeze held up tells how late it is (stopped: %s)', (stopped) => {
  const clock = createFakeClock()
  const expire = vi.fn()
  startAbsoluteDeadline(clock, 500, expire)
  clock.advance(200)
  clock.freeze(60_000, stopped)
  expect(expire).not.toHaveBeenCalled()
  clock.advance(0)
  expect(expire.mock.calls).toEqual([[59_700]])
})

test('a busy event loop is no freeze: what it holds up for less than half a second counts', () => {
  const clock = createFakeClock()
  const expire = vi.fn()
  startDeadline(clock, 500, expire)
  clock.freeze(500, 'none')
  clock.advance(0)
  expect(expire.mock.calls).toEqual([[0]])
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

test.each(Array.from({ length: POLL_TURNS }, (_, i) => [i + 1]))(
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
  clock.advance(300)
  expect(setTimer.mock.calls.map((given) => given.slice(1))).toEqual([
    [250, background],
    [250, background],
  ])
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
