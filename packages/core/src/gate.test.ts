import fc from 'fast-check'
import { expect, test } from 'vitest'
import { runs } from '../test/runs.ts'
import { type GateRules, type GateVerdict, type IdleConnection, judge } from './gate.ts'

const NEVER = Number.POSITIVE_INFINITY

const healthy: IdleConnection = {
  broken: false,
  generation: 3,
  provenAt: 1000,
  silenceMillis: 100,
  idleMillis: 100,
  ageMillis: 60_000,
  maxAgeMillis: NEVER,
}

const calm: GateRules = {
  generation: 3,
  suspectSince: Number.NEGATIVE_INFINITY,
  trustMillis: 500,
  idleTimeoutMillis: 10_000,
}

const rows: readonly [sentence: string, connection: Partial<IdleConnection>, rules: Partial<GateRules>, verdict: GateVerdict][] = [
  ['a connection that has just answered is trusted', {}, {}, 'trust'],
  ['so is one that has just been proven, however long it lay there', { silenceMillis: 0, idleMillis: 9000 }, {}, 'trust'],
  ['one whose socket says that it is dead is broken', { broken: true }, {}, 'broken'],
  ['one of an old generation is evicted', { generation: 2 }, {}, 'generation'],
  ['one of a very old generation is evicted', { generation: 0 }, { generation: 7 }, 'generation'],
  ['one made while the generation grew belongs to the new one', { generation: 4 }, {}, 'trust'],
  ['one as old as it may be is kept', { ageMillis: 900, maxAgeMillis: 900 }, {}, 'trust'],
  ['one that is older is destroyed', { ageMillis: 901, maxAgeMillis: 900 }, {}, 'lifetime'],
  ['one unused for as long as it may be is kept', { idleMillis: 10_000 }, {}, 'trust'],
  ['one unused for longer is destroyed', { idleMillis: 10_001 }, {}, 'idle'],
  ['without an idle timeout it is kept', { idleMillis: 1e9 }, { idleTimeoutMillis: NEVER }, 'trust'],
  ['a silence is never fatal by itself: it is asked about', { silenceMillis: 1e9 }, {}, 'probe'],
  ['what was proven after the doubt is trusted', { provenAt: 1001 }, { suspectSince: 1000 }, 'trust'],
  ['what was proven at the very moment of the doubt is asked', { provenAt: 1000 }, { suspectSince: 1000 }, 'probe'],
  ['what was proven before the doubt is asked', { provenAt: 999 }, { suspectSince: 1000 }, 'probe'],
  ['a silence just below the window is trusted', { silenceMillis: 499.9 }, {}, 'trust'],
  ['a silence as long as the window is asked', { silenceMillis: 500 }, {}, 'probe'],
  ['a window of nothing asks every time', { silenceMillis: 0 }, { trustMillis: 0 }, 'probe'],
  ['an endless window trusts what is not suspect', { silenceMillis: 1e9 }, { trustMillis: NEVER }, 'trust'],
  ['an endless window does not outweigh a doubt', { provenAt: 1000 }, { trustMillis: NEVER, suspectSince: 2000 }, 'probe'],
]

test.each(rows)('%s', (_, connection, rules, verdict) => {
  expect(judge({ ...healthy, ...connection }, { ...calm, ...rules })).toBe(verdict)
})

test('the first reason that applies is the one that is given', () => {
  const worst: IdleConnection = {
    broken: true,
    generation: 0,
    provenAt: 0,
    silenceMillis: 1e9,
    idleMillis: 1e9,
    ageMillis: 1e9,
    maxAgeMillis: 1,
  }
  const rules: GateRules = { ...calm, suspectSince: 1e9 }
  expect(judge(worst, rules)).toBe('broken')
  expect(judge({ ...worst, broken: false }, rules)).toBe('generation')
  expect(judge({ ...worst, broken: false, generation: 3 }, rules)).toBe('lifetime')
  expect(judge({ ...worst, broken: false, generation: 3, ageMillis: 0 }, rules)).toBe('idle')
})

test('nothing is judged by changing it', () => {
  expect(judge(Object.freeze({ ...healthy }), Object.freeze({ ...calm }))).toBe('trust')
})

const millis = fc.integer({ min: 0, max: 20_000 })
const limit = fc.oneof(millis, fc.constant(NEVER))
const standing: fc.Arbitrary<IdleConnection> = fc.record({
  broken: fc.boolean(),
  generation: fc.nat(3),
  provenAt: millis,
  silenceMillis: millis,
  idleMillis: millis,
  ageMillis: millis,
  maxAgeMillis: limit,
})
const gateRules: fc.Arbitrary<GateRules> = fc.record({
  generation: fc.nat(3),
  suspectSince: fc.oneof(millis, fc.constant(Number.NEGATIVE_INFINITY)),
  trustMillis: fc.integer({ min: 0, max: 2000 }),
  idleTimeoutMillis: limit,
})

/** 0: hand it out, 1: probe it first, 2: evict it. */
const severity = (verdict: GateVerdict) => (verdict === 'trust' ? 0 : verdict === 'probe' ? 1 : 2)

test('a connection about which more speaks against it is never judged milder', () => {
  const worse = fc.record({ silence: millis, idle: millis, age: millis, doubt: millis, bump: fc.nat(2), broken: fc.boolean() })
  fc.assert(
    fc.property(standing, gateRules, worse, (connection, rules, more) => {
      const worseConnection: IdleConnection = {
        ...connection,
        broken: connection.broken || more.broken,
        silenceMillis: connection.silenceMillis + more.silence,
        idleMillis: connection.idleMillis + more.idle,
        ageMillis: connection.ageMillis + more.age,
      }
      const stricter: GateRules = { ...rules, generation: rules.generation + more.bump, suspectSince: rules.suspectSince + more.doubt }
      expect(severity(judge(worseConnection, stricter))).toBeGreaterThanOrEqual(severity(judge(connection, rules)))
    }),
    runs(1000),
  )
})

test('trust means: standing, of this generation, proven since the last doubt, and a moment ago', () => {
  fc.assert(
    fc.property(standing, gateRules, (connection, rules) => {
      if (judge(connection, rules) !== 'trust') return
      expect(connection.broken).toBe(false)
      expect(connection.generation).toBeGreaterThanOrEqual(rules.generation)
      expect(connection.provenAt).toBeGreaterThan(rules.suspectSince)
      expect(connection.silenceMillis).toBeLessThan(rules.trustMillis)
    }),
    runs(1000),
  )
})
