/**
 * The selection of the matrix, not a fault. If it lost a pair, a fault would go untested in silence.
 */

import { expect, test } from 'vitest'
import { MATRIX, selectCells } from './matrix.ts'
import { crossProduct, pairsOf, pairwise } from './pairwise.ts'

test('the cross product holds every combination once', () => {
  const rows = crossProduct({ a: [1, 2], b: ['x', 'y', 'z'] })
  expect(rows).toHaveLength(6)
  expect(new Set(rows.map((row) => `${row.a}${row.b}`)).size).toBe(6)
})

test('every pair of values is in some row', () => {
  for (const dimensions of [{ a: [1, 2, 3] }, { a: [1, 2], b: [1, 2, 3], c: [1, 2, 3, 4], d: [true, false] }, MATRIX]) {
    const covered = new Set(pairwise(dimensions).flatMap((row) => pairsOf(row, dimensions)))
    const all = new Set(crossProduct(dimensions).flatMap((row) => pairsOf(row, dimensions)))
    expect(covered).toEqual(all)
  }
})

test('the rows are far fewer than the cross product, and the same each time', () => {
  const rows = pairwise(MATRIX)
  expect(rows.length).toBeLessThan(crossProduct(MATRIX).length / 8)
  expect(pairwise(MATRIX)).toEqual(rows)
})

test('THAW_MATRIX=full selects everything', () => {
  expect(selectCells('full')).toHaveLength(crossProduct(MATRIX).length)
  expect(selectCells(undefined)).toHaveLength(pairwise(MATRIX).length)
  expect(() => selectCells('ful')).toThrow('THAW_MATRIX')
})

test('no two cells have the same name', () => {
  const names = selectCells('full').map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
})
