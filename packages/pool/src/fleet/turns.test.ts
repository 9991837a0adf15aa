/** When a pool gives up its idle sessions, so that others get their turn. */

import { createFakeClock } from '@thaw/testkit'
import { describe, expect, test } from 'vitest'
import { VITALS, type Vitals } from '../connection/vitals.ts'
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
    turns.learn(true, 10)
    clock.advance(99)
    expect(removed).toEqual([])
    clock.advance(2)
    expect(removed).toEqual([client])
    expect(turns.yielded).toBe(1)
  })

  test('is kept where there is room', () => {
    const { clock, turns, removed } = setUp()
    turns.learn(false, 10)
    turns.rested()
    clock.advance(1000)
    expect(removed).toEqual([])
  })

  test('is kept when there is room again', () => {
    const { clock, turns, removed } = setUp()
    turns.learn(true, 10)
    turns.learn(false, 10)
    clock.advance(1000)
    expect(removed).toEqual([])
  })

  test('is kept if a caller has left state on it, or if it is named as one that is spared', () => {
    for (const given of [{ sessionState: 'left' }, { fleetName: 'held' }]) {
      const { clock, turns, removed } = setUp(given)
      turns.learn(true, 10)
      clock.advance(1000)
      expect(removed).toEqual([])
    }
  })

  test('is not given up the moment a frozen process wakes up: a request is about to use it', () => {
    const { clock, turns, client, removed } = setUp()
    turns.learn(true, 10)
    clock.freeze(5000)
    expect(removed).toEqual([])
    clock.advance(101)
    expect(removed).toEqual([client])
  })

  test('is given up at the end of an invocation where the server was full a moment ago, although it has not been looked at', () => {
    for (const fleetName of ['resting', 'held']) {
      const { turns, client, removed } = setUp({ fleetName })
      turns.over(0)
      expect(removed).toEqual([])
      turns.over(0, true)
      expect(removed).toEqual([client])
    }
  })

  test('is not given up while a caller of its own waits', () => {
    const { clock, turns, pool, removed } = setUp()
    pool._pendingQueue.push({})
    turns.learn(true, 10)
    clock.advance(1000)
    expect(removed).toEqual([])
  })
})

describe('a session that is always at work', () => {
  const busy = () => {
    const scene = setUp()
    scene.pool._idle = []
    const vitals = { ...scene.client[VITALS], state: 'in use', bornAt: { wall: scene.clock.wall(), mono: scene.clock.mono() } }
    return { ...scene, vitals: vitals as unknown as Vitals }
  }

  test('is given up at the end of its turn, where the server is full, and its place is left to others for a moment', () => {
    const { clock, turns, vitals } = busy()
    turns.learn(true, 10)
    clock.advance(499)
    expect(turns.isOver(vitals)).toBe(false)
    clock.advance(1001)
    expect(turns.isOver(vitals)).toBe(true)
    expect(turns.restMillis).toBeLessThan(0)
    turns.gaveUp()
    expect([turns.yielded, turns.restMillis]).toEqual([1, 100])
    clock.advance(100)
    expect(turns.restMillis).toBe(0)
  })

  test('is kept where there is room, if a caller has left state on it, and before the server has been full for as long as a turn', () => {
    const { clock, turns, vitals } = busy()
    clock.advance(60_000)
    expect(turns.isOver(vitals)).toBe(false)
    turns.learn(true, 10)
    expect(turns.isOver(vitals)).toBe(false)
    // Each look says so again.
    clock.advance(1000)
    turns.learn(true, 10)
    clock.advance(500)
    expect(turns.isOver({ ...vitals, sessionState: 'left' } as Vitals)).toBe(false)
    expect(turns.isOver(vitals)).toBe(true)
    turns.learn(false, 10)
    expect(turns.isOver(vitals)).toBe(false)
  })

  test('begins another turn when its process wakes up: a request does not lose it after the first of its statements', () => {
    const { clock, turns, vitals } = busy()
    turns.learn(true, 10)
    clock.freeze(60_000)
    turns.learn(true, 10)
    expect(turns.isOver(vitals)).toBe(false)
    clock.advance(1500)
    expect(turns.isOver(vitals)).toBe(true)
  })
})
