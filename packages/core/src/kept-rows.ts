/**
 * Which statements return rows that can be kept beside an idempotency key, for the caller who sends them again? Those that PostgreSQL takes as a part of another one, in a WITH: it then stores
 * their rows in the same breath. What it refuses after all is sent as it is.
 */

import { outlineOf } from './outline.ts'

const FIRST = /^(?:with|insert|update|delete|merge|select|values)\b/
const VERB = /(?<!\{)\b(?:insert|update|delete|merge|select|values)\b/
const INNERMOST = /\([^()]*\)/g
const CHANGES: ReadonlySet<string> = new Set(['insert', 'update', 'delete', 'merge'])

/** A statement that returns rows. */
export interface RowSource {
  /** Without what may not be inside of another one. */
  readonly text: string
  /** What its command tag begins with, up to the number of rows. */
  readonly tag: string
}

/** Undefined: it returns none, or cannot be part of another statement. */
export function rowSourceOf(text: string): RowSource | undefined {
  const outline = outlineOf(text)
  if (!outline || !FIRST.test(outline)) return undefined
  const top = topLevelOf(outline).replace(/ ?; ?$/, '')
  // More than the one at its end; or it would end the other one.
  if (/[;()]/.test(top)) return undefined
  const verb = VERB.exec(top)?.[0]
  if (!verb || (CHANGES.has(verb) ? !/(?<!\{)\breturning\b/.test(top) : /\binto\b/.test(top))) return undefined
  const bare = withoutEnd(text, outline)
  if (bare === undefined) return undefined
  // INSERT tells an OID, which has been 0 since PostgreSQL 12. VALUES calls itself SELECT.
  return { text: bare, tag: verb === 'insert' ? 'INSERT 0' : verb === 'values' ? 'SELECT' : verb.toUpperCase() }
}

/** The semicolon may have a comment behind it. */
function withoutEnd(text: string, outline: string): string | undefined {
  if (!outline.endsWith(';')) return text
  const end = text.lastIndexOf(';')
  const before = text.slice(0, end)
  const left = outlineOf(before)
  return left !== undefined && !left.endsWith(';') && left === outline.slice(0, -1).trimEnd() ? before : undefined
}

function topLevelOf(outline: string): string {
  let top = outline
  for (let shorter = top.replace(INNERMOST, ' '); shorter !== top; shorter = top.replace(INNERMOST, ' ')) top = shorter
  return top
}

/** Of PostgreSQL's text of a whole row: each column as it would be sent, or null. https://www.postgresql.org/docs/current/rowtypes.html#ROWTYPES-IO-SYNTAX */
export function columnsOfRow(row: string): readonly (string | null)[] {
  const columns: (string | null)[] = []
  const end = row.length - 1
  for (let at = 1; at <= end; at++) {
    if (row[at] === ',' || at === end) {
      columns.push(null)
      continue
    }
    let column = ''
    let isQuoted = false
    for (; at < end && (isQuoted || row[at] !== ','); at++) {
      const mark = row[at] as string
      if (mark !== '"' && mark !== '\\') column += mark
      // Doubled, inside of quotes.
      else if (isQuoted && row[at + 1] === mark) column += row[++at]
      else isQuoted = !isQuoted
    }
    columns.push(column)
  }
  return columns
}
