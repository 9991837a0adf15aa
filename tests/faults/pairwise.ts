/** Fewer cells than the cross product, and still each value of each dimension beside each value of every other. */

/** The dimensions of a matrix by name, each with its values. */
export type Dimensions = Readonly<Record<string, readonly unknown[]>>

/** One value of each dimension. */
export type Row<D extends Dimensions> = { readonly [Name in keyof D]: D[Name][number] }

/** Every combination, the last dimension turning fastest. */
export function crossProduct<D extends Dimensions>(dimensions: D): Row<D>[] {
  let rows: Record<string, unknown>[] = [{}]
  for (const [name, values] of Object.entries(dimensions)) rows = rows.flatMap((row) => values.map((value) => ({ ...row, [name]: value })))
  return rows as Row<D>[]
}

/** The pairs of values that a row puts side by side, each as a string of its own. */
export function pairsOf(row: Readonly<Record<string, unknown>>, dimensions: Dimensions): string[] {
  const places = Object.keys(dimensions).map((name) => `${name}=${dimensions[name]?.indexOf(row[name])}`)
  return places.flatMap((first, index) => places.slice(index + 1).map((second) => `${first} ${second}`))
}

/**
 * A subset of the cross product that holds every pair. Greedy: always the row with the most pairs that are still missing,
 * the earliest of equals, so that the same dimensions give the same rows in the same order.
 */
export function pairwise<D extends Dimensions>(dimensions: D): Row<D>[] {
  const candidates = crossProduct(dimensions).map((row) => ({ row, pairs: pairsOf(row, dimensions) }))
  const missing = new Set(candidates.flatMap(({ pairs }) => pairs))
  const chosen: Row<D>[] = []
  const gain = (pairs: readonly string[]): number => pairs.filter((pair) => missing.has(pair)).length
  while (missing.size > 0) {
    const best = candidates.reduce((leader, candidate) => (gain(candidate.pairs) > gain(leader.pairs) ? candidate : leader))
    for (const pair of best.pairs) missing.delete(pair)
    chosen.push(best.row)
  }
  return chosen
}
