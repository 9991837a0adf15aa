import fc from 'fast-check'
import { expect, test } from 'vitest'
import { runs } from '../test/runs.ts'
import { fatalSilenceMillis, LEAST_LEARNED_MILLIS, learnDeath, learnSurvival, SAFETY_FACTOR, type ShortestDeath } from './idle-limit.ts'

const NONE: ShortestDeath = Number.POSITIVE_INFINITY

const limits: readonly [sentence: string, shortest: ShortestDeath, limit: number][] = [
  ['as long as none has died there is no limit', NONE, Number.POSITIVE_INFINITY],
  ["AWS's 350 s keep us below 280 s", 350_000, 280_000],
  ['a death after 10 s keeps us below 8 s', 10_000, 8000],
  ['a death after half a second teaches no more than 5 s', 500, 5000],
  ['a death at once teaches no more than 5 s', 0, 5000],
]

test.each(limits)('%s', (_, shortest, limit) => {
  expect(fatalSilenceMillis(shortest)).toBe(limit)
})

test('the shortest silence that killed a connection counts', () => {
  expect([40_000, 60_000, 30_000, 90_000].reduce(learnDeath, NONE)).toBe(30_000)
})

const survivals: readonly [sentence: string, shortest: ShortestDeath, silence: number, learned: ShortestDeath][] = [
  ['a survival of what we thought fatal clears the limit', 30_000, 30_001, NONE],
  ['a survival of just that silence leaves it', 30_000, 30_000, 30_000],
  ['a survival of a shorter one leaves it', 30_000, 20_000, 30_000],
  ['a survival where none has died changes nothing', NONE, 1e9, NONE],
]

test.each(survivals)('%s', (_, shortest, silence, learned) => {
  expect(learnSurvival(shortest, silence)).toBe(learned)
})

test('the figures are those of the design', () => {
  expect({ SAFETY_FACTOR, LEAST_LEARNED_MILLIS }).toEqual({ SAFETY_FACTOR: 0.8, LEAST_LEARNED_MILLIS: 5000 })
})

const lesson = fc.record({ died: fc.boolean(), silence: fc.integer({ min: 0, max: 1_000_000 }) })

test('whatever was learned, the limit lies below every death since the last survival that refuted one, and never below 5 s', () => {
  fc.assert(
    fc.property(fc.array(lesson, { maxLength: 30 }), (lessons) => {
      let shortest = NONE
      let deaths: number[] = []
      for (const { died, silence } of lessons) {
        if (died) deaths.push(silence)
        else if (deaths.some((death) => death < silence)) deaths = []
        shortest = died ? learnDeath(shortest, silence) : learnSurvival(shortest, silence)
        const limit = fatalSilenceMillis(shortest)
        expect(limit).toBeGreaterThanOrEqual(LEAST_LEARNED_MILLIS)
        for (const death of deaths) expect(limit).toBeLessThanOrEqual(Math.max(LEAST_LEARNED_MILLIS, death))
        if (deaths.length === 0) expect(limit).toBe(NONE)
      }
    }),
    runs(300),
  )
})
