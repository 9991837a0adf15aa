import { describe, expect, test } from 'vitest'
import type { Recording } from '../record/recording.ts'
import { PG_RECORDING, THAW_RECORDING } from './recorded-run.ts'
import { createTimeScale } from './time-scale.ts'

const both = createTimeScale([PG_RECORDING, THAW_RECORDING])

test('later is further right, across all zones', () => {
  const places = [-1038.1, -900, -703.5, -300, 0, 4.4, 500, 614.8, 2_000, 4_999.6, 4_999.8, 9_999].map(both.x)
  expect(places).toEqual([...places].sort((one, other) => one - other))
  expect(places[0]).toBe(0)
  expect(places.at(-1)).toBeLessThan(100)
})

test('zones follow on one another without a gap, in time and in the picture', () => {
  expect(both.zones.map(({ kind }) => kind)).toEqual(['before', 'frozen', 'after', 'cut-out', 'after'])
  for (const [index, zone] of both.zones.entries()) {
    const next = both.zones[index + 1]
    if (next) expect({ x: next.x, millis: next.fromMillis }).toEqual({ x: zone.x + zone.width, millis: zone.toMillis })
  }
})

test('what is drawn to scale has one scale', () => {
  const perMillis = both.zones
    .filter(({ kind }) => kind === 'after')
    .map(({ fromMillis, toMillis, width }) => width / (toMillis - fromMillis))
  expect(perMillis[1]).toBeCloseTo(perMillis[0] ?? 0, 6)
})

test('only a time in which neither driver did anything is cut out', () => {
  const cut = both.zones.filter(({ kind }) => kind === 'cut-out')
  expect(cut.map(({ fromMillis, toMillis }) => [fromMillis, toMillis])).toEqual([[614.8, 4_999.6]])
  const busy: Recording = {
    ...THAW_RECORDING,
    decisions: [900, 1_800, 2_700, 3_600, 4_500].map((atMillis) => ({ atMillis, type: 'retried', fields: {} })),
  }
  expect(createTimeScale([PG_RECORDING, busy]).zones.map(({ kind }) => kind)).toEqual(['before', 'frozen', 'after'])
})

describe('ticks', () => {
  test('are round, stand where they belong, and are far enough apart to be read', () => {
    expect(both.ticks.map(({ millis }) => millis)).toEqual([0, 200, 400, 600])
    for (const { x, millis } of both.ticks) expect(x).toBe(both.x(millis))
    for (const [index, { x }] of both.ticks.entries()) if (index > 0) expect(x - (both.ticks[index - 1]?.x ?? 0)).toBeGreaterThanOrEqual(12)
  })
})

test('without a freeze, time begins with the first event', () => {
  const calls = [{ phase: 'counted', action: 'read', fromMillis: 0, toMillis: 40, ending: 'answered', isHonest: false }] as const
  const scale = createTimeScale([{ ...PG_RECORDING, fromMillis: 0, freezes: [], connections: [], blows: [], calls }])
  expect(scale.zones).toMatchObject([{ kind: 'after', x: 0, fromMillis: 0, toMillis: 40 }])
})
