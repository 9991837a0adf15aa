/** Rows as a Markdown table. */

import type { Comparison, Figure, Report, Row, Scenario, Unit } from './scenario.ts'

const COLUMNS = ['measured', 'pg', 'thaw', 'ratio', 'target', 'verdict'] as const

export function renderReport({ title }: Scenario, { rows, comparisons = [], notes = [] }: Report): string {
  const table = [
    COLUMNS,
    COLUMNS.map((_, index) => (index === 0 || index > 3 ? '---' : '--:')),
    ...rows.map((row) => [row.measured, ...cells(row)]),
  ]
  const blocks = [`## ${title}`, table.map(line).join('\n'), ...comparisons.map(renderTable), ...notes]
  return `${blocks.join('\n\n')}\n`
}

/** Words to the left, figures to the right. */
export function renderTable({ columns, rows }: Comparison): string {
  const isFigure = (index: number): boolean => rows.every((cells) => /^\d{1,3}(?!\d*-)/.test(cells[index] ?? ''))
  return [columns, columns.map((_, index) => (isFigure(index) ? '--:' : '---')), ...rows].map(line).join('\n')
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
