import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { runs } from '../test/runs.ts'
import {
  earnHedge,
  FREE_HEDGE_MILLIS,
  HEDGE_BUDGET,
  HEDGE_PER_DIAL,
  type HedgeBudget,
  hedgeDelayMillis,
  LEAST_HEDGE_MILLIS,
  MOST_HEDGE_MILLIS,
  MOST_HEDGES,
  spendHedge,
} from './hedge.ts'
import type { RoundTrip } from './round-trip.ts'

describe('the delay', () => {
  const rows: readonly [sentence: string, known: RoundTrip | undefined, delay: number][] = [
    ['twice a steady round trip', { smoothedMillis: 40, variationMillis: 1 }, 80],
    ['four times the variation above an unsteady one', { smoothedMillis: 40, variationMillis: 20 }, 120],
    ['never less than 10 ms, for timers and event loops are late', { smoothedMillis: 0.3, variationMillis: 0.1 }, 10],
    ['never more than 250 ms', { smoothedMillis: 400, variationMillis: 0 }, 250],
    ['150 ms where nothing is known', undefined, 150],
  ]
  test.each(rows)('is %s', (_, known, delay) => {
    expect(hedgeDelayMillis(known)).toBe(delay)
  })

  test('stays within its bounds, and above the usual round trip where they allow', () => {
    const millis = fc.double({ min: 0, max: 10_000, noNaN: true })
    fc.assert(
      fc.property(millis, millis, (smoothedMillis, variationMillis) => {
        const delay = hedgeDelayMillis({ smoothedMillis, variationMillis })
        expect(delay).toBeGreaterThanOrEqual(LEAST_HEDGE_MILLIS)
        expect(delay).toBeLessThanOrEqual(MOST_HEDGE_MILLIS)
        expect(delay).toBeGreaterThanOrEqual(Math.min(MOST_HEDGE_MILLIS, 2 * smoothedMillis))
      }),
      runs(300),
    )
  })
})

describe('the budget', () => {
  const at = (millis: number) => ({ wall: millis, mono: millis })

  test('a new pool may hedge once, and again after 10 s', () => {
    const after = spendHedge(HEDGE_BUDGET, at(0))
    expect(after && spendHedge(after, at(FREE_HEDGE_MILLIS - 1))).toBeUndefined()
    expect(after && spendHedge(after, at(FREE_HEDGE_MILLIS))).toBeDefined()
  })

  test('a freeze that only one clock saw counts', () => {
    const after = spendHedge(HEDGE_BUDGET, at(0))
    expect(after && spendHedge(after, { wall: FREE_HEDGE_MILLIS, mono: 5 })).toBeDefined()
  })

  test('ten needed dials earn one more', () => {
    let budget = spendHedge(HEDGE_BUDGET, at(0)) ?? HEDGE_BUDGET
    for (let dial = 0; dial < 11; dial++) budget = earnHedge(budget)
    const after = spendHedge(budget, at(1))
    expect(after).toBeDefined()
    expect(after && spendHedge(after, at(1))).toBeUndefined()
  })

  test('in any history there are at most one in 10 s and one for every ten needed dials', () => {
    const step = fc.oneof(fc.constant('dial' as const), fc.constant('hedge' as const), fc.integer({ min: 0, max: 20_000 }))
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (history) => {
        let budget: HedgeBudget = HEDGE_BUDGET
        let [now, dials, hedges] = [0, 0, 0]
        for (const what of history) {
          if (typeof what === 'number') now += what
          else if (what === 'dial') {
            budget = earnHedge(budget)
            dials++
          } else {
            const left = spendHedge(budget, at(now))
            if (left) hedges++
            budget = left ?? budget
          }
          expect(budget.tokens).toBeGreaterThanOrEqual(0)
          expect(budget.tokens).toBeLessThanOrEqual(MOST_HEDGES)
          expect(hedges).toBeLessThanOrEqual(1 + now / FREE_HEDGE_MILLIS + dials * HEDGE_PER_DIAL + 1e-6)
        }
      }),
      runs(300),
    )
  })
})
