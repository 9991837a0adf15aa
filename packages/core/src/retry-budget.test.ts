import fc from 'fast-check'
import { expect, test } from 'vitest'
import { runs } from '../test/runs.ts'
import { BUDGET_PER_SUCCESS, BUDGET_TOKENS, earn, type RetryBudget, spend } from './retry-budget.ts'

const rows: readonly [sentence: string, before: RetryBudget, after: RetryBudget | undefined][] = [
  ['a full budget allows a repeat', 10, 9],
  ['the last token allows one', 1, 0],
  ['less than a token does not', 0.8, undefined],
  ['an empty budget does not', 0, undefined],
]

test.each(rows)('%s', (_, before, after) => {
  expect(spend(before)).toBe(after)
})

test('a burst of ten retries is allowed, the eleventh is not', () => {
  let budget: RetryBudget | undefined = BUDGET_TOKENS
  for (let i = 0; i < 10; i++) budget = budget === undefined ? undefined : spend(budget)
  expect(budget).toBe(0)
  expect(spend(budget ?? Number.NaN)).toBeUndefined()
})

test('five successes earn one retry, four do not', () => {
  const afterFour = [1, 2, 3, 4].reduce(earn, 0)
  expect(spend(afterFour)).toBeUndefined()
  expect(spend(earn(afterFour))).toBe(0)
})

test('a full budget cannot be filled', () => {
  expect(earn(BUDGET_TOKENS)).toBe(BUDGET_TOKENS)
  expect(earn(BUDGET_TOKENS - 0.1)).toBe(BUDGET_TOKENS)
})

test('in any history there are at most ten retries and one for every five successes', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 300 }), (history) => {
      let budget: RetryBudget = BUDGET_TOKENS
      let repeats = 0
      let successes = 0
      for (const success of history) {
        if (success) {
          budget = earn(budget)
          successes++
        } else {
          const left = spend(budget)
          if (left === undefined) continue
          budget = left
          repeats++
        }
        expect(budget).toBeGreaterThanOrEqual(0)
        expect(budget).toBeLessThanOrEqual(BUDGET_TOKENS)
        expect(repeats).toBeLessThanOrEqual(BUDGET_TOKENS + successes * BUDGET_PER_SUCCESS + 1e-6)
      }
    }),
    runs(300),
  )
})
