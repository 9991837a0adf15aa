import { expect, test } from 'vitest'
import { createFakeClock } from '../test/fake-clock.ts'
import { systemClock } from './clock.ts'
import { POLL_TURNS, pollSockets } from './poll-sockets.ts'

test('the sockets are polled in three turns of the event loop', () => {
  const queue: (() => void)[] = []
  let polled = false
  pollSockets({ ...createFakeClock(), turn: (callback) => void queue.push(callback) }, () => {
    polled = true
  })
  for (let turns = 0; turns < 3; turns++) {
    expect({ turns, polled }).toEqual({ turns, polled: false })
    for (const callback of queue.splice(0)) callback()
  }
  expect(polled).toBe(true)
  expect(queue).toEqual([])
  expect(POLL_TURNS).toBe(3)
})

test('polling takes no time', () => {
  const clock = createFakeClock()
  let polledAt: number | undefined
  pollSockets(clock, () => {
    polledAt = clock.now()
  })
  clock.advance(50)
  expect(polledAt).toBe(0)
})

test('a runtime without turns is done at once', () => {
  const clock = createFakeClock({ turns: false })
  let polled = false
  pollSockets(clock, () => {
    polled = true
  })
  expect(polled).toBe(true)
})

test('zero turns call back at once', () => {
  let polled = false
  pollSockets(
    createFakeClock(),
    () => {
      polled = true
    },
    0,
  )
  expect(polled).toBe(true)
})

test('the event loop of this runtime turns between the start and the end of a poll', async () => {
  let turns = 0
  let polling = true
  const count = () => {
    turns++
    if (polling) systemClock.turn?.(count)
  }
  systemClock.turn?.(count)
  await new Promise<void>((resolve) => pollSockets(systemClock, resolve))
  polling = false
  expect(turns).toBe(POLL_TURNS)
})
