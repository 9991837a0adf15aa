/** The figures as a table, for the terminal and for Markdown. */

import { styleText } from 'node:util'
import type { Figures } from './figures.ts'
import type { FaultResult } from './lab.ts'

type Summed = Omit<Figures, 'errors'>
type Style = Parameters<typeof styleText>[0]

interface Cell {
  readonly text: string
  readonly style?: Style
}

const MARK = '*'
/** Below the fault that it belongs to. */
const RETRIED = '  and a retry'

/** Failed calls: those that should not have failed, and those whose outcome no client can know, with a mark. */
export function showFailed({ failed, unknown }: Summed): string {
  if (unknown === 0) return String(failed)
  return failed === 0 ? `${unknown}${MARK}` : `${failed} + ${unknown}${MARK}`
}

/** The longest wait, as a person would say it. */
export function showWait({ worstWaitMillis, isCapped }: Summed): string {
  if (isCapped) return `> ${worstWaitMillis / 1000} s`
  return worstWaitMillis < 1000 ? `${worstWaitMillis} ms` : `${(worstWaitMillis / 1000).toFixed(1)} s`
}

/** The table in Markdown, with one line per fault and one for all of them. */
export function markdownTable(results: readonly FaultResult[], pg: Summed, thaw: Summed): string {
  const heads = ['fault', ...['pg', 'Thaw'].flatMap((name) => [`${name}: failed`, 'worst wait', 'rows twice', 'crashes'])]
  const body = [...results.flatMap(linesOf), ['**all**', ...cellsOf(pg), ...cellsOf(thaw)]].map((row) =>
    row.map((cell) => (typeof cell === 'string' ? cell : cell.text)),
  )
  const widths = heads.map((head, column) => Math.max(head.length, ...body.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => pad(cell, widths[column] ?? 0, column)).join(' | ')} |`
  const rule = `| ${widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`
  return [line(heads), rule, ...body.map(line)].join('\n')
}

/** What the mark means. Empty if the mark is not used. */
export function footnote(pg: Summed, thaw: Summed): string {
  if (pg.unknown + thaw.unknown === 0) return ''
  return (
    `${MARK} The statement had been sent when its connection broke. No client can know whether it was executed: ` +
    'an error is the honest answer, and a blind retry could store the order twice.'
  )
}

const WIDTHS = [17, 8, 7, 6, 8, 10, 7, 6, 8]

/** The table for a terminal of 80 columns, in colour where there is any. `names` are all faults, also those that are still to come. */
export function terminalTable(names: readonly string[], results: readonly FaultResult[], current: string | undefined): string {
  const heads = ['', ...['', ''].flatMap(() => ['failed', 'worst', 'twice', 'crashes'])]
  const over = `${' '.repeat((WIDTHS[0] ?? 0) + 2)}${'plain pg'.padEnd(31)}Thaw`
  const rows = names.flatMap((name): Cell[][] => {
    const result = results.find((known) => known.name === name)
    if (result) return linesOf(result).map((line) => line.map((cell) => (typeof cell === 'string' ? { text: cell } : cell)))
    return [[{ text: name === current ? `${name} …` : name, style: name === current ? 'bold' : 'dim' } satisfies Cell]]
  })
  return [paint('bold', over), paint('dim', render(heads.map((text) => ({ text })))), ...rows.map(render)].join('\n')
}

function render(cells: readonly Cell[]): string {
  return cells
    .map(({ text, style }, column) => {
      const padded = pad(text, WIDTHS[column] ?? 0, column)
      return style ? paint(style, padded) : padded
    })
    .join('')
}

/** One for each fault, and one below it where a retry by hand was tried. */
function linesOf({ name, pg, thaw, retried }: FaultResult): (string | Cell)[][] {
  const line = [name, ...cellsOf(pg), ...cellsOf(thaw)]
  return retried ? [line, [RETRIED, ...cellsOf(retried), ...cellsOf(thaw).map(() => '')]] : [line]
}

function cellsOf(figures: Summed): Cell[] {
  const { failed, unknown, isCapped, rowsTwice, crashes } = figures
  return [
    { text: showFailed(figures), style: failed > 0 ? 'red' : unknown > 0 ? 'yellow' : 'green' },
    { text: showWait(figures), ...(isCapped ? { style: 'red' as const } : {}) },
    { text: String(rowsTwice), ...(rowsTwice > 0 ? { style: 'red' as const } : {}) },
    { text: String(crashes), ...(crashes > 0 ? { style: 'red' as const } : {}) },
  ]
}

// Styled after padding: escape codes have no width.
function paint(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout })
}

function pad(text: string, width: number, column: number): string {
  return column === 0 ? text.padEnd(width) : text.padStart(width)
}
