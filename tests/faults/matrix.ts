/** The dimensions of the matrix, and which of its cells are run. */

import { FAULTS, type Fault } from './faults.ts'
import { crossProduct, pairwise } from './pairwise.ts'

/** One cell of the matrix. */
export interface Cell {
  readonly name: string
  readonly fault: Fault
  readonly kind: 'read' | 'write' | 'transaction'
  /** Idle connections at the time of the fault. */
  readonly idle: number
  readonly wire: 'plain' | 'TLS'
  /** Whether the monotonic clock goes on while the process is silent. The wall clock always does. */
  readonly clock: 'clock running' | 'clock stopped'
}

/** What crosses what: all but the name. */
export const MATRIX: { readonly [Name in Exclude<keyof Cell, 'name'>]: readonly Cell[Name][] } = {
  fault: FAULTS,
  kind: ['read', 'write', 'transaction'],
  idle: [1, 8, 10],
  wire: ['plain', 'TLS'],
  clock: ['clock running', 'clock stopped'],
}

/** Pairwise, or with `full` the whole cross product, in the same order each time. Throws for any other word. */
export function selectCells(which: string | undefined): Cell[] {
  if (which !== undefined && which !== 'full') throw new Error(`THAW_MATRIX is '${which}', but may only be 'full', or unset for pairwise.`)
  const rows = which === 'full' ? crossProduct(MATRIX) : pairwise(MATRIX)
  return rows.map((row) => ({ ...row, name: `${row.fault.name} × ${row.kind} × ${row.idle} idle × ${row.wire} × ${row.clock}` }))
}
