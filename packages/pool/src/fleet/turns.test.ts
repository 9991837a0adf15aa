/** When a pool gives up its idle sessions, so that others get their turn. */

import { createFakeClock } from '@thaw/testkit'
import { describe, expect, test } from 'vitest'
import { VITALS } from '../connection/vitals.ts'
import { Turns } from './turns.ts'

function setUp({ fleetName = 'resting', sessionState = 'none' }: { fleetName?: string; sessionState?: string } = {}) {
  const clock = createFakeClock()
  const removed: object[] = []
  const idleSince = { wall: clock.wall(), mono: clock.mono() }
  const client = { [VITALS]: { state: 'idle', fleetName, sessionState, idleSince } }
  const pool = {
    _idle: [{ client }],
    _pendingQueue: [] as object[],
    _remove: (one: object) => {
      removed.push(one)
      pool._idle = []
    },
  }
  return { clock, client, pool, removed, turns: new Turns(clock, pool as never) }
}

describe('an idle session', () => {
  test('is given up where the server is full, and not before its turn is over', () => {
    const { clock, turns, client, removed } = setUp()
    turns.learn(true)
    clock.advance(99)
    expect(removed).toEqual([])
    clock.advance(2)
    expect(removed).toEqual([client])
    expect(turns.yielded).toBe(1)
  })

  test('is kept where there is room', () => {
    const { clock, turns, removed } = setUp()
    turns.learn(false)
    turns.rested()
    clock.advance(1000)
    expect(removed).toEqual([])
  })

  test('is kept when there is room again', () => {
    const { clock, turns, removed } = setUp()
    turns.learn(true)
    turns.learn(false)
    clock.advance(1000)
    expect(removed).toEqual([])
  })

  test('is kept if a caller has left state on it, or if it is named as one that is spared', () => {
    for (const given of [{ sessionState: 'left' }, { fleetName: 'held' }]) {
      const { clock, turns, removed } = setUp(given)
      turns.learn(true)
      clock.advance(1000)
      expect(removed).toEqual([])
    }
  })

  test('is not given up the moment a frozen process wakes up: a request is about to use it', () => {
    const { clock, turns, client, removed } = setUp()
    turns.learn(true)
    clock.freeze(5000)
    expect(removed).toEqual([])
    clock.advance(101)
    expect(removed).toEqual([client])
  })

  test('is not given up while a caller of its own waits', () => {
    const { clock, turns, pool, removed } = setUp()
    pool._pendingQueue.push({})
    turns.learn(true)
    clock.advance(1000)
    expect(removed).toEqual([])
  })
})
