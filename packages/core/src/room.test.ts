import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { runs } from '../test/runs.ts'
import { growth, nextDial, type PoolCounts, roomLeft, waitsForItself } from './room.ts'

const NONE: PoolCounts = { waiting: 0, dialling: 0, overdue: 0, idle: 0, late: 0, raced: 0, total: 0, max: 10 }

describe('the next dial', () => {
  const rows: readonly [sentence: string, counts: Partial<PoolCounts>, next: ReturnType<typeof nextDial>][] = [
    ['no caller waits: none', {}, undefined],
    ['a caller waits and there is nothing: needed', { waiting: 1 }, 'needed'],
    ['an attempt is under way for the caller already: none', { waiting: 1, dialling: 1, total: 1 }, undefined],
    ['an idle connection is being asked: it will serve the caller, or make room', { waiting: 1, idle: 1, total: 1 }, undefined],
    ['it is late: hedge', { waiting: 1, idle: 1, late: 1, total: 1 }, 'hedge'],
    [
      'it is late, and it is all that a pool of one may have: hedge all the same',
      { waiting: 1, idle: 1, late: 1, total: 1, max: 1 },
      'hedge',
    ],
    ['it is raced already: none', { waiting: 1, dialling: 1, idle: 1, late: 1, raced: 1, total: 2 }, undefined],
    ['another caller who waits gets an attempt of their own', { waiting: 2, dialling: 1, idle: 1, late: 1, raced: 1, total: 2 }, 'needed'],
    ['but not in a pool of one', { waiting: 2, dialling: 1, idle: 1, late: 1, raced: 1, total: 2, max: 1 }, undefined],
    ['one is late and another is not, which may still answer: none', { waiting: 1, idle: 2, late: 1, total: 2 }, undefined],
    ['fifty wait for ten that are late: one above the limit', { waiting: 50, idle: 10, late: 10, total: 10 }, 'hedge'],
    ['and no second', { waiting: 50, dialling: 1, idle: 10, late: 10, raced: 1, total: 11 }, undefined],
    ['a dial takes long: another', { waiting: 1, overdue: 1, total: 1, max: 1 }, 'needed'],
    ['two take long, and the second was above the limit: no third', { waiting: 1, overdue: 2, total: 2, max: 1 }, undefined],
    [
      'one is raced and a dial takes long: still one above the limit',
      { waiting: 1, idle: 1, late: 1, raced: 1, overdue: 1, total: 2, max: 1 },
      undefined,
    ],
    ['no caller waits for what is late: none', { idle: 1, late: 1, total: 1 }, undefined],
  ]
  test.each(rows)('%s', (_, counts, next) => {
    expect(nextDial({ ...NONE, ...counts })).toBe(next)
  })
})

test('a race that is over leaves no room above the limit', () => {
  expect(roomLeft({ total: 2, raced: 1, overdue: 0, max: 1 })).toBe(0)
  expect(roomLeft({ total: 2, raced: 0, overdue: 0, max: 1 })).toBe(-1)
  expect(roomLeft({ total: 1, raced: 0, overdue: 0, max: 1 })).toBe(0)
})

test.each([
  ['every connection is held and runs nothing: its holder may be the one who waits', { resting: 1, total: 1 }, true],
  ['five of five', { resting: 5, total: 5 }, true],
  ['one still runs a statement: there is hope', { resting: 4, total: 5 }, false],
  ['the only one is idle, or being opened', { resting: 0, total: 1 }, false],
  ['there is none', { resting: 0, total: 0 }, false],
])('%s', (_, holders, isSo) => {
  expect(waitsForItself(holders)).toBe(isSo)
})

test.each([
  ['all held at rest, once: not yet', { resting: 1, total: 1, wasHeldAtRest: false }, 0],
  ['all held at rest, twice: one more', { resting: 5, total: 5, wasHeldAtRest: true }, 1],
  ['one runs a statement: it is waited for', { resting: 4, total: 5, looks: 9 }, 0],
  ['nothing came back for a quarter of a second, and a holder rests: as many as wait', { resting: 1, total: 5, looks: 10 }, 3],
  ['all run statements: they are waited for', { resting: 0, total: 5, looks: 39 }, 0],
  ['for a second nothing came back: as many as wait', { resting: 0, total: 5, looks: 40 }, 3],
])('growth: %s', (_, jam, connections) => {
  expect(growth({ waiting: 3, looks: 0, wasHeldAtRest: false, ...jam })).toBe(connections)
})

const crowds = fc
  .record({
    waiting: fc.nat(60),
    dialling: fc.nat(10),
    overdue: fc.nat(2),
    idle: fc.nat(10),
    lent: fc.nat(10),
    late: fc.nat(10),
    raced: fc.nat(10),
    max: fc.integer({ min: 1, max: 10 }),
  })
  .map(({ lent, ...counts }): PoolCounts => {
    const late = Math.min(counts.late, counts.idle)
    return { ...counts, late, raced: Math.min(counts.raced, late), total: lent + counts.idle + counts.dialling + counts.overdue }
  })

test('connecting as long as it says so ends, opens no connection twice for one caller, and stays within the limit, or one above it while one is raced', () => {
  fc.assert(
    fc.property(crowds, (start) => {
      let counts = start
      for (let next = nextDial(counts); next; next = nextDial(counts)) {
        const raced = counts.raced + (next === 'hedge' ? 1 : 0)
        counts = { ...counts, raced, dialling: counts.dialling + 1, total: counts.total + 1 }
        expect(counts.dialling).toBeLessThanOrEqual(counts.waiting)
        expect(counts.total).toBeLessThanOrEqual(counts.max + (raced + counts.overdue > 0 ? 1 : 0))
        expect(roomLeft(counts)).toBeGreaterThanOrEqual(0)
      }
    }),
    runs(500),
  )
})
