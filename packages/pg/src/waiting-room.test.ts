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
  const wait = (name: string, then: () => void = () => {}) => {
    const callback = (error: Error | undefined) => {
      told.push(`${name}: ${error?.message}`)
      then()
    }
    queue.push(createWaiter(clock, callback))
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

test('a callback that throws takes nobody with it, and is uncaught as in node-postgres', async () => {
  const { clock, told, wait, turn } = createRoom()
  const uncaught = catchUncaught()
  wait('first', () => {
    throw new Error('of a callback')
  })
  wait('second')
  clock.advance(PATIENCE_MILLIS)
  turn()
  await nextTick()
  expect(told).toEqual(['first: waited 10000', 'second: waited 10000'])
  expect(await uncaught.stop()).toEqual(['of a callback'])
})

/** What Node would have ended the process for. Vitest's own listener would fail the run. */
function catchUncaught() {
  const messages: string[] = []
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', ({ message }) => messages.push(message))
  return {
    async stop() {
      await new Promise(setImmediate)
      process.removeAllListeners('uncaughtException')
      for (const listener of others) process.on('uncaughtException', listener)
      return messages
    },
  }
}
