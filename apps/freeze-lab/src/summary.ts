/** What it all means, in sentences. */

import type { Figures } from './figures.ts'
import type { LabResult } from './lab.ts'
import { plural } from './plural.ts'
import { footnote, markdownTable, showWait } from './table.ts'

/** The end of a run: the table in Markdown, the verdict, what was left out. */
export function summarize(result: LabResult): string {
  const { total, faults, skipped, complaints, seed, tookMillis, postgresVersion, nodeVersion } = result
  const parts = [
    markdownTable(faults, total.pg, total.thaw),
    footnote(total.pg, total.thaw),
    verdict(result),
    ...skipped.map(({ name, reason }) => `Left out: ${name} (${reason}).`),
    complaints.length === 0 ? '' : ['Thaw should have done better:', ...complaints.map((complaint) => `  ${complaint}`)].join('\n'),
    `PostgreSQL ${postgresVersion}, Node ${nodeVersion}, ${(tookMillis / 1000).toFixed(0)} s, --seed ${seed}`,
  ]
  return parts.filter((part) => part !== '').join('\n\n')
}

function verdict({ total, faults }: LabResult): string {
  const cases = faults.length === 1 ? 'one fault' : `${faults.length} faults`
  return `In ${total.pg.calls} calls under ${cases}, plain pg ${describe(total.pg)}. Thaw ${describe(total.thaw)}.`
}

function describe(figures: Omit<Figures, 'errors'>): string {
  const { failed, unknown, worstWaitMillis, isCapped, rowsTwice, rowsMissing, crashes } = figures
  const honest = unknown === 0 ? '' : ` (and ${unknown} where an error is the only honest answer)`
  const lost = rowsMissing === 0 ? '' : ` and lost ${plural(rowsMissing, 'row')}`
  return [
    `failed ${failed === 0 ? 'no call' : plural(failed, 'call')} without need${honest}`,
    isCapped ? `kept a call waiting for more than ${worstWaitMillis / 1000} s` : `kept no call waiting longer than ${showWait(figures)}`,
    `wrote ${rowsTwice === 0 ? 'no row' : plural(rowsTwice, 'row')} twice${lost}`,
    crashes === 0 ? 'and never crashed the process' : `and would have crashed the process ${plural(crashes, 'time')}`,
  ].join(', ')
}
