/** Callers who wait, on a clock that the test moves. Nobody is dialled. */

import { createFakeClock } from '@thaw/testkit'
import { expect, test } from 'vitest'
import { createWaiter, type Waiter, WaitingRoom } from './waiting-room.ts'

const PATIENCE_MILLIS = 10_000

function createRoom() {
  const clock = createFakeClock({ turns: 'manual' })
  const queue: Waiter[] = []
  const room = new WaitingRoom({
    clock,
    queue: () => queue,
    patienceMillis: () => PATIENCE_MILLIS,
    timeUp: (waitedMillis) => new Error(`waited ${waitedMillis}`),
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

test('who comes after a freeze, before its late timer has been dealt with, waits no longer than others', async () => {
  const { clock, told, wait, turn } = createRoom()
  wait('before')
  clock.freeze(600_000)
  wait('after')
  turn()
  await nextTick()
  expect(told).toEqual(['before: waited 10000'])
  clock.advance(PATIENCE_MILLIS)
  turn()
  await nextTick()
  expect(told).toEqual(['before: waited 10000', 'after: waited 10000'])
})

test('nobody is told before all that are due have left the queue: a callback that throws takes nobody with it', async () => {
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
