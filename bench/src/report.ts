/** Rows as a Markdown table. */

import type { Figure, Report, Row, Scenario, Unit } from './scenario.ts'

const COLUMNS = ['measured', 'pg', 'thaw', 'ratio', 'target', 'verdict'] as const

export function renderReport({ title }: Scenario, { rows, comparison, notes = [] }: Report): string {
  const table = rows.map((row) => [row.measured, ...cells(row)])
  const lines = [COLUMNS, COLUMNS.map((_, index) => (index === 0 || index > 3 ? '---' : '--:')), ...table]
  const more = comparison ? [comparison.columns, comparison.columns.map((_, index) => (index < 2 ? '---' : '--:')), ...comparison.rows] : []
  return [`## ${title}`, '', ...lines.map(line), '', ...more.map(line), '', ...notes.flatMap((note) => [note, ''])].join('\n')
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

function cells({ unit, pg, thaw, ratio, target }: Row): string[] {
  const verdict = target ? (target.met ? 'met' : '**missed**') : ''
  return [amount(pg, unit), amount(thaw, unit), spread(ratio), target?.says ?? 'reported', verdict]
}

function amount(figure: Figure | undefined, unit: Unit): string {
  if (!figure) return '–'
  const value = `${number(figure.value, unit)} ${unit}`
  return figure.remark === undefined ? value : `${figure.remark}, ${value}`
}

function number(value: number, unit: Unit): string {
  if (unit === 'round trips' || unit === 'bytes' || unit === 'tests' || unit === 'calls') return String(Math.round(value))
  return value.toFixed(value < 10 ? 2 : 1)
}

function spread(figure: Figure | undefined): string {
  if (!figure) return '–'
  const { value, low, high } = figure
  return low === undefined || high === undefined ? value.toFixed(2) : `${value.toFixed(3)} (${low.toFixed(2)} to ${high.toFixed(2)})`
}
