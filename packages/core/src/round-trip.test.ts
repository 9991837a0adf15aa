import fc from 'fast-check'
import { expect, test } from 'vitest'
import { runs } from '../test/runs.ts'
import { learnRoundTrip, type RoundTrip } from './round-trip.ts'

const learn = (samples: readonly number[]) => samples.reduce<RoundTrip | undefined>(learnRoundTrip, undefined)

test('the first sample is the estimate, give or take half', () => {
  expect(learn([40])).toEqual({ smoothedMillis: 40, variationMillis: 20 })
})

test('the second moves it by an eighth, as RFC 6298 has it', () => {
  expect(learn([40, 80])).toEqual({ smoothedMillis: 45, variationMillis: 25 })
})

test('a clock that is set back teaches nothing negative', () => {
  expect(learn([-5])).toEqual({ smoothedMillis: 0, variationMillis: 0 })
})

const sample = fc.double({ min: 0, max: 5000, noNaN: true })

test('an estimate lies among its samples, and strays no further than they do', () => {
  fc.assert(
    fc.property(fc.array(sample, { minLength: 1, maxLength: 50 }), (samples) => {
      const { smoothedMillis, variationMillis } = learn(samples) ?? { smoothedMillis: Number.NaN, variationMillis: Number.NaN }
      expect(smoothedMillis).toBeGreaterThanOrEqual(Math.min(...samples) - 1e-6)
      expect(smoothedMillis).toBeLessThanOrEqual(Math.max(...samples) + 1e-6)
      expect(variationMillis).toBeGreaterThanOrEqual(0)
      expect(variationMillis).toBeLessThanOrEqual(Math.max(...samples) + 1e-6)
    }),
    runs(300),
  )
})

test('whatever was known before, eighty equal samples are believed', () => {
  fc.assert(
    fc.property(fc.array(sample, { maxLength: 5 }), sample, (before, steady) => {
      const { smoothedMillis, variationMillis } = learn([...before, ...Array(80).fill(steady)]) ?? { smoothedMillis: 0, variationMillis: 0 }
      expect(Math.abs(smoothedMillis - steady)).toBeLessThan(1)
      expect(variationMillis).toBeLessThan(Math.max(1, steady / 2 + 1))
    }),
    runs(100),
  )
})
