/** What a scenario is, and what it reports. */

import type { PostgresServer } from '@thaw/testkit'

/** A measured value, with the quartiles around it where it is the median of many. */
export interface Figure {
  readonly value: number
  readonly low?: number
  readonly high?: number
  /** What went wrong instead, or is wrong with the value: "failed", "no answer". Shown beside it. */
  readonly remark?: string
}

export type Unit = 'ms' | 'µs' | 'round trips' | 'bytes' | 'kB' | 'tests' | 'calls'

/** One row of a table. */
export interface Row {
  readonly measured: string
  readonly unit: Unit
  readonly pg?: Figure
  readonly thaw?: Figure
  readonly ratio?: Figure
  /** In words, and whether it is met. Without one the row is for information. */
  readonly target?: { readonly says: string; readonly met: boolean }
}

/** Cells as they are shown. */
export interface Comparison {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** What a scenario found. */
export interface Report {
  readonly rows: readonly Row[]
  /** Tables of their own, where more than two are compared. */
  readonly comparisons?: readonly Comparison[]
  /** Said below the table. */
  readonly notes?: readonly string[]
}

/** What a scenario may use. */
export interface Setting {
  /** A fraction of the samples: to see that everything runs, not to quote. */
  readonly quick: boolean
  /** For how long, where a scenario can run as long as one likes. Undefined: its own default. */
  readonly minutes?: number
  /** Where to keep what happened. */
  readonly history?: string
  /** The PostgreSQL that the scenarios share. Started at the first call. */
  postgres(): Promise<PostgresServer>
  /** Reports progress to the person who waits. */
  progress(text: string): void
}

export interface Scenario {
  /** As on the command line. */
  readonly name: string
  readonly title: string
  /** Not among those that run where none is named. */
  readonly byNameOnly?: boolean
  run(setting: Setting): Promise<Report>
}
