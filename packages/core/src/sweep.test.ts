import { expect, test } from 'vitest'
import { createFakeClock } from '../test/fake-clock.ts'
import { systemClock } from './clock.ts'
import { SWEEP_TURNS, sweep } from './sweep.ts'

test('a sweep is three turns of the event loop', () => {
  const queue: (() => void)[] = []
  let swept = false
  sweep({ ...createFakeClock(), turn: (callback) => void queue.push(callback) }, () => {
    swept = true
  })
  for (let turns = 0; turns < 3; turns++) {
    expect({ turns, swept }).toEqual({ turns, swept: false })
    for (const callback of queue.splice(0)) callback()
  }
  expect(swept).toBe(true)
  expect(queue).toEqual([])
  expect(SWEEP_TURNS).toBe(3)
})

test('a sweep takes no time', () => {
  const clock = createFakeClock()
  let sweptAt: number | undefined
  sweep(clock, () => {
    sweptAt = clock.now()
  })
  clock.advance(50)
  expect(sweptAt).toBe(0)
})

test('a runtime without turns is swept at once', () => {
  const clock = createFakeClock({ turns: false })
  let swept = false
  sweep(clock, () => {
    swept = true
  })
  expect(swept).toBe(true)
})

test('zero turns call back at once', () => {
  let swept = false
  sweep(
    createFakeClock(),
    () => {
      swept = true
    },
    0,
  )
  expect(swept).toBe(true)
})

test('the event loop of this runtime turns between the start and the end of a sweep', async () => {
  let turns = 0
  let sweeping = true
  const count = () => {
    turns++
    if (sweeping) systemClock.turn?.(count)
  }
  systemClock.turn?.(count)
  await new Promise<void>((resolve) => sweep(systemClock, resolve))
  sweeping = false
  expect(turns).toBe(SWEEP_TURNS)
})
