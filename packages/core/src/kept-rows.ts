/**
 * Which statements return rows that can be kept beside an idempotency key, for the caller who sends them again? Those that PostgreSQL takes as a part of another one, in a WITH: it then stores
 * their rows in the same breath. What it refuses after all is sent as it is.
 */

import { outlineOf, pieceAt } from './outline.ts'

const FIRST = /^(?:with|insert|update|delete|merge|select|values|table)\b/
const VERB = /(?<!\{)\b(?:insert|update|delete|merge|select|values|table)\b/
/** In the text itself, outside of constants and comments. */
const MARK = /--|\/\*|['"$()]|(?<![\w$.\x80-\uffff])(?:insert|update|delete|merge|select|values|table)(?![\w$\x80-\uffff])/gi
const INNERMOST = /\([^()]*\)/g
/** Nothing comes behind them. */
const END = /(?: ?;)+ ?$/
const MOST_SEMICOLONS = 20
const CHANGES: ReadonlySet<string> = new Set(['insert', 'update', 'delete', 'merge'])

/** A statement that returns rows. */
export interface RowSource {
  /** Without what may not be inside of another one. */
  readonly text: string
  /** WITH and its parts, in front of it: PostgreSQL takes one that writes only there. Undefined: none. */
  readonly parts?: string
  /** What its command tag begins with, up to the number of rows. */
  readonly tag: string
}

/** Undefined: it returns none, or cannot be part of another statement. */
export function rowSourceOf(text: string): RowSource | undefined {
  const outline = outlineOf(text)
  if (!outline || !FIRST.test(outline)) return undefined
  const top = topLevelOf(outline).replace(END, '')
  // More than those at its end; or it would end the other one.
  if (/[;()]/.test(top)) return undefined
  const verb = VERB.exec(top)?.[0]
  if (!verb || (CHANGES.has(verb) ? !/(?<!\{)\breturning\b/.test(top) : /\binto\b/.test(top))) return undefined
  const bare = withoutEnd(text, outline)
  if (bare === undefined) return undefined
  // INSERT tells an OID, which has been 0 since PostgreSQL 12. VALUES and TABLE call themselves SELECT.
  const tag = verb === 'insert' ? 'INSERT 0' : CHANGES.has(verb) ? verb.toUpperCase() : 'SELECT'
  if (!outline.startsWith('with')) return { text: bare, tag }
  const begin = verbAt(bare)
  return begin < 0 ? undefined : { parts: bare.slice(0, begin), text: bare.slice(begin), tag }
}

/** Where the statement behind the parts of a WITH begins: at the first of its words outside of parentheses. Where one of them is a part's name, the server refuses what comes of it. */
function verbAt(text: string): number {
  let depth = 0
  MARK.lastIndex = 0
  for (let found = MARK.exec(text); found; found = MARK.exec(text)) {
    const [mark] = found
    if (mark === '(') depth++
    else if (mark === ')') depth--
    else if (/^[a-z]/i.test(mark)) {
      if (depth === 0) return found.index
    } else MARK.lastIndex = Math.max(MARK.lastIndex, pieceAt(text, MARK.lastIndex).end)
  }
  return -1
}

/** Semicolons may have comments behind them, in which there may be others. Undefined: so many that looking for the right one would take long. */
function withoutEnd(text: string, outline: string): string | undefined {
  const left = outline.replace(END, '')
  if (left === outline) return text
  let end = text.length
  for (let tries = 0; tries < MOST_SEMICOLONS && end > 0; tries++) {
    end = text.lastIndexOf(';', end - 1)
    const before = text.slice(0, Math.max(0, end))
    if (outlineOf(before)?.trimEnd() === left) return before
  }
  return undefined
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
