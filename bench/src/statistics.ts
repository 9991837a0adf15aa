/** Medians and quartiles. Never means: one stolen time slice would move them. */

import type { Figure } from './scenario.ts'

/** The value below which `share` of the values lie, interpolated between its neighbours. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const place = (sorted.length - 1) * share
  const below = sorted[Math.floor(place)] ?? Number.NaN
  const above = sorted[Math.ceil(place)] ?? Number.NaN
  return below + (above - below) * (place - Math.floor(place))
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** The median with the quartiles around it. */
export function figureOf(values: readonly number[], remark?: string): Figure {
  return { value: median(values), low: quantile(values, 0.25), high: quantile(values, 0.75), ...(remark !== undefined && { remark }) }
}

/** To two decimals, as it is shown: a verdict must not depend on a digit that is not shown. */
export function rounded(value: number): number {
  return Math.round(value * 100) / 100
}
