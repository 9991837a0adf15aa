/** Callers who wait, on a clock that the test moves. No connection is opened. */

import { createFakeClock } from '@thaw/testkit'
import { expect, test } from 'vitest'
import type { Waiter } from '../driver/waiter.ts'
import { createWaiter, WaitQueue } from './wait-queue.ts'

const PATIENCE_MILLIS = 10_000

function createRoom() {
  const clock = createFakeClock({ turns: 'manual' })
  const queue: Waiter[] = []
  const room = new WaitQueue({
    clock,
    queue: () => queue,
    waitLimitMillis: () => PATIENCE_MILLIS,
    timeUp: (waitedMillis) => new Error(`waited ${waitedMillis}`),
    left: () => {},
  })
  const told: string[] = []
  const wait = (name: string) => {
    queue.push(createWaiter(clock, (error) => told.push(`${name}: ${error?.message}`)))
    room.setAlarm()
  }
  const turn = () => {
    for (let turns = 0; turns < 3; turns++) clock.runTurn()
  }
  return { clock, room, told, wait, turn }
}

const nextTick = () => new Promise<void>((resolve) => process.nextTick(resolve))

test('a freeze costs who waits a quarter of a second, however long it was', async () => {
  const { clock, told, wait, turn } = createRoom()
  wait('caller')
  clock.advance(1000)
  clock.freeze(600_000)
  clock.advance(8749)
  turn()
  await nextTick()
  expect(told).toEqual([])
  clock.advance(1)
  turn()
  await nextTick()
  expect(told).toEqual(['caller: waited 10000'])
})

test('a freeze just before the end of a wait does not end it', async () => {
  const { clock, told, wait, turn } = createRoom()
  wait('caller')
  clock.advance(9900)
  clock.freeze(600_000)
  turn()
  await nextTick()
  expect(told).toEqual([])
  clock.advance(125)
  turn()
  await nextTick()
  expect(told).toEqual(['caller: waited 10000'])
})

test('a freeze is detected at the first look: a connection attempt that fails before the late timer rejects no caller', async () => {
  const { clock, room, told, wait, turn } = createRoom()
  wait('caller')
  clock.freeze(600_000, { fires: false })
  room.giveUp()
  turn()
  await nextTick()
  expect(told).toEqual([])
})

test('who comes after a freeze, before its late timer has been dealt with, waits no longer and no shorter than others', async () => {
  const { clock, told, wait, turn } = createRoom()
  wait('before')
  clock.freeze(600_000, { fires: false })
  wait('after')
  clock.advance(PATIENCE_MILLIS - 250)
  turn()
  await nextTick()
  expect(told).toEqual(['before: waited 10000'])
  clock.advance(250)
  turn()
  await nextTick()
  expect(told).toEqual(['before: waited 10000', 'after: waited 10000'])
})

test('no caller is called back before all that are due have left the queue: a callback that throws affects no other', async () => {
  const { clock, room, told, wait, turn } = createRoom()
  wait('first')
  wait('second')
  clock.advance(PATIENCE_MILLIS)
  turn()
  expect(told).toEqual([])
  expect(room.firstWaitMillis()).toBeUndefined()
  await nextTick()
  expect(told).toEqual(['first: waited 10000', 'second: waited 10000'])
})
