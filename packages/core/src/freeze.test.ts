import fc from 'fast-check'
import { expect, test } from 'vitest'
import { runs } from '../test/runs.ts'
import {
  DRIFT_MILLIS,
  type FreezeEvidence,
  type FreezeHints,
  GAP_MILLIS,
  LATE_MILLIS,
  LONG_GAP_MILLIS,
  OUTSIDE_DRIFT_MILLIS,
  weighFreeze,
} from './freeze.ts'

const before = { wall: 1_800_000_000_000, mono: 1000 }
const after = (wall: number, mono: number) => ({ wall: before.wall + wall, mono: before.mono + mono })
const outside = (local: number, ahead: number): FreezeHints => ({ outsideWall: before.wall + local + ahead })

const rows: readonly [sentence: string, wall: number, mono: number, hints: FreezeHints, evidence: FreezeEvidence][] = [
  ['no time passed', 0, 0, {}, 'none'],
  ['a moment passed', 20, 20, {}, 'none'],
  ['a gap as long as a slow request', GAP_MILLIS, GAP_MILLIS, {}, 'none'],
  ['a gap worth looking at', GAP_MILLIS + 1, GAP_MILLIS + 1, {}, 'possible'],
  ['an hour without a reading: an idle server is no frozen one', 3_600_000, 3_600_000, {}, 'possible'],
  ['SIGSTOP for a minute moves both clocks', 60_000, 60_000, {}, 'possible'],
  ['SIGSTOP for a minute between two invocations', 60_000, 60_000, { newInvocation: true }, 'certain'],
  ['a laptop slept: the monotonic clock stood still', 3_600_000, 3, {}, 'certain'],
  ['a guest was paused and its wall clock not stepped yet', 3, 3_600_000, {}, 'certain'],
  ['the wall clock was set back by an hour', -3_600_000, 3, {}, 'certain'],
  ['a drift that NTP may cause', 10_000 + DRIFT_MILLIS, 10_000, {}, 'possible'],
  ['a drift beyond that', 10_000 + DRIFT_MILLIS + 1, 10_000, {}, 'certain'],
  ['the same drift the other way', 10_000, 10_000 + DRIFT_MILLIS + 1, {}, 'certain'],
  ['a drift as wide as it may be, within a moment', DRIFT_MILLIS, 0, {}, 'none'],
  ['a new invocation at once', 5, 5, { newInvocation: true }, 'possible'],
  ['a new invocation after a gap that a healthy runtime shows', LONG_GAP_MILLIS, LONG_GAP_MILLIS, { newInvocation: true }, 'possible'],
  ['a new invocation after a longer one', LONG_GAP_MILLIS + 1, LONG_GAP_MILLIS + 1, { newInvocation: true }, 'certain'],
  ['both clocks stood still, and nothing else tells', 0, 0, {}, 'none'],
  ['both clocks stood still, and a header tells', 3, 3, outside(3, OUTSIDE_DRIFT_MILLIS + 1), 'certain'],
  ['a header with whole seconds and travel time', 3, 3, outside(3, OUTSIDE_DRIFT_MILLIS), 'none'],
  ['a header that lies behind us', 3, 3, outside(3, -60_000), 'none'],
]

test.each(rows)('%s', (_, wall, mono, hints, evidence) => {
  expect(weighFreeze(before, after(wall, mono), hints)).toBe(evidence)
})

test('the figures are those of the design', () => {
  expect({ DRIFT_MILLIS, GAP_MILLIS, LONG_GAP_MILLIS, LATE_MILLIS, OUTSIDE_DRIFT_MILLIS }).toEqual({
    DRIFT_MILLIS: 250,
    GAP_MILLIS: 250,
    LONG_GAP_MILLIS: 1000,
    LATE_MILLIS: 250,
    OUTSIDE_DRIFT_MILLIS: 2000,
  })
})

const millis = fc.integer({ min: 0, max: 10_000_000 })
const GRADES: readonly FreezeEvidence[] = ['none', 'possible', 'certain']
const grade = (evidence: FreezeEvidence) => GRADES.indexOf(evidence)

test('clocks that agree are never certain within one invocation', () => {
  fc.assert(
    fc.property(millis, (gap) => weighFreeze(before, after(gap, gap)) !== 'certain'),
    runs(200),
  )
})

test('it does not matter which of the two clocks stood still', () => {
  fc.assert(
    fc.property(millis, millis, (a, b) => weighFreeze(before, after(a, b)) === weighFreeze(before, after(b, a))),
    runs(200),
  )
})

test('a hint never weakens the evidence', () => {
  fc.assert(
    fc.property(
      millis,
      millis,
      fc.boolean(),
      fc.option(fc.integer({ min: -100_000, max: 100_000 })),
      (wall, mono, newInvocation, ahead) => {
        const hints = { newInvocation, ...(ahead !== null && outside(wall, ahead)) }
        expect(grade(weighFreeze(before, after(wall, mono), hints))).toBeGreaterThanOrEqual(grade(weighFreeze(before, after(wall, mono))))
      },
    ),
    runs(200),
  )
})
