/**
 * Where a moment lies in the picture. Both drivers share one scale. The time after the thaw, which matters, is drawn to scale; what
 * came before it is squeezed, and long stretches in which neither did anything are cut out. Each such zone says how long it is.
 */

import type { RecordedSpan, Recording } from '../record/recording.ts'

/** A part of the picture with a scale of its own. `x` and `width` are per cent. */
export interface Zone extends RecordedSpan {
  readonly kind: 'before' | 'frozen' | 'after' | 'cut-out'
  readonly x: number
  readonly width: number
}

/** A scale. */
export interface TimeScale {
  readonly zones: readonly Zone[]
  /** Round times in the zones that are drawn to scale. */
  readonly ticks: readonly { readonly x: number; readonly millis: number }[]
  /** Per cent from the left. */
  x(millis: number): number
}

const BEFORE_PERCENT = 12
const FROZEN_PERCENT = 13
const CUT_OUT_PERCENT = 8
// Room for the mark of what happens last.
const END_PERCENT = 2
// Longer than anything waits in the pictures that are worth seeing to scale; shorter than a call that hangs.
const CUT_OUT_MILLIS = 1_000
const TICK_PERCENT = 13
const TICK_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000]

type Part = Omit<Zone, 'x' | 'width'>

/** Makes the scale on which all of these fit. */
export function createTimeScale(recordings: readonly Recording[]): TimeScale {
  const times = [...new Set(recordings.flatMap(timesOf))].sort((one, other) => one - other)
  const start = times[0] ?? 0
  const frozenFrom = Math.min(...recordings.flatMap(({ freezes }) => freezes.slice(0, 1)).map(({ fromMillis }) => fromMillis))
  const parts: Part[] = Number.isFinite(frozenFrom)
    ? [
        { kind: 'before', fromMillis: start, toMillis: frozenFrom },
        { kind: 'frozen', fromMillis: frozenFrom, toMillis: 0 },
        ...afterwards(times.filter((millis) => millis >= 0)),
      ]
    : afterwards(times)
  const zones = lay(parts)
  const x = (millis: number): number => place(zones, millis)
  return { zones, ticks: ticksOf(zones), x }
}

function timesOf({ fromMillis, calls, connections, freezes, blows, troubles, decisions, crashes }: Recording): number[] {
  const spans = [...calls, ...freezes, ...troubles]
  return [
    fromMillis,
    ...spans.flatMap((span) => [span.fromMillis, span.toMillis]),
    ...connections.flatMap(({ dialledMillis, openedMillis, diedMillis, closedMillis }) => [
      dialledMillis,
      ...[openedMillis, diedMillis, closedMillis].filter((millis) => millis !== undefined),
    ]),
    ...[...blows, ...decisions, ...crashes].map(({ atMillis }) => atMillis),
  ]
}

/** Stretches that are drawn to scale, and those between them that are cut out. */
function afterwards(times: readonly number[]): Part[] {
  const parts: Part[] = []
  let from = times[0] ?? 0
  for (const [index, millis] of times.entries()) {
    const before = times[index - 1] ?? millis
    if (millis - before <= CUT_OUT_MILLIS) continue
    parts.push({ kind: 'after', fromMillis: from, toMillis: before }, { kind: 'cut-out', fromMillis: before, toMillis: millis })
    from = millis
  }
  // A picture of nothing would have no width to divide by.
  return [...parts, { kind: 'after', fromMillis: from, toMillis: Math.max(times.at(-1) ?? 0, from + 1) }]
}

function lay(parts: readonly Part[]): Zone[] {
  const cutOuts = parts.filter(({ kind }) => kind === 'cut-out').length
  const fixed: Readonly<Record<Part['kind'], number>> = {
    before: BEFORE_PERCENT,
    frozen: FROZEN_PERCENT,
    after: 0,
    'cut-out': Math.min(CUT_OUT_PERCENT, (4 * CUT_OUT_PERCENT) / cutOuts),
  }
  const left = 100 - END_PERCENT - parts.reduce((sum, { kind }) => sum + fixed[kind], 0)
  const drawn = parts.filter(({ kind }) => kind === 'after').reduce((sum, part) => sum + lengthOf(part), 0)
  let x = 0
  return parts.map((part) => {
    const width = part.kind === 'after' ? (left * lengthOf(part)) / drawn : fixed[part.kind]
    const zone = { ...part, x, width }
    x += width
    return zone
  })
}

function place(zones: readonly Zone[], millis: number): number {
  const zone = zones.find(({ toMillis }) => millis <= toMillis) ?? zones.at(-1)
  if (!zone) return 0
  const share = Math.min(1, Math.max(0, (millis - zone.fromMillis) / lengthOf(zone)))
  return zone.x + share * zone.width
}

function ticksOf(zones: readonly Zone[]): TimeScale['ticks'] {
  const drawn = zones.filter(({ kind }) => kind === 'after')
  const perMillis = Math.max(...drawn.map((zone) => zone.width / lengthOf(zone)))
  const step = TICK_STEPS.find((millis) => millis * perMillis >= TICK_PERCENT) ?? TICK_STEPS.at(-1) ?? 1
  const ticks: { x: number; millis: number }[] = []
  for (const { fromMillis, toMillis } of drawn) {
    for (let millis = Math.ceil(fromMillis / step) * step; millis <= toMillis; millis += step) {
      const x = place(zones, millis)
      const last = ticks.at(-1)
      if (!last || x - last.x >= TICK_PERCENT) ticks.push({ x, millis })
    }
  }
  return ticks
}

function lengthOf({ fromMillis, toMillis }: RecordedSpan): number {
  return toMillis - fromMillis
}
