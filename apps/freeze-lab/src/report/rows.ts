/** Puts bars into as few rows as they need without overlapping. */

/** A bar with its place: per cent from the left, and the number of its row. */
export interface Placed<T> {
  readonly bar: T
  readonly from: number
  readonly to: number
  readonly row: number
}

/** Bars that are closer than that would look like one. Per cent. */
const GAP = 1.2

/** Places each bar in the first row that is free, in the given order. `extentOf` is per cent, from and to. */
export function placeInRows<T>(bars: readonly T[], extentOf: (bar: T) => readonly [from: number, to: number]): Placed<T>[] {
  const ends: number[] = []
  return bars.map((bar) => {
    const [from, to] = extentOf(bar)
    const free = ends.findIndex((end) => end + GAP <= from)
    const row = free === -1 ? ends.length : free
    ends[row] = to
    return { bar, from, to, row }
  })
}
