/** Which question marks of a text stand for parameters? All that PostgreSQL would not read as part of a constant, a name in quotes or a comment. */

import { endOfQuoted, pieceAt } from './outline.ts'

const MARK = /--|\/\*|['"$?]/g

/**
 * Numbers the placeholders of other databases: each `?` becomes `$1`, `$2`, … A text with numbers of its own (`$1`) is returned as it is, so that
 * PostgreSQL's operators `?`, `?|` and `?&` can be used there.
 */
export function numberPlaceholders(text: string): string {
  if (!text.includes('?')) return text
  let numbered = ''
  let count = 0
  let from = 0
  let match = next(text, 0)
  while (match) {
    const mark = match[0]
    const begin = match.index + mark.length
    let end = begin
    if (mark === '?') {
      numbered += `${text.slice(from, match.index)}$${++count}`
      from = begin
    } else if (mark === '$' && isNumber(text, begin)) return text
    else end = endOf(text, begin, mark)
    match = next(text, end)
  }
  return numbered + text.slice(from)
}

function next(text: string, from: number): RegExpExecArray | null {
  MARK.lastIndex = from
  return MARK.exec(text)
}

/** `$1`, but not the end of the name `a$1`. */
function isNumber(text: string, begin: number): boolean {
  return /\d/.test(text.charAt(begin)) && !/[\w$\x80-\uffff]/.test(text.charAt(begin - 2))
}

/** Behind the piece. What has no end goes to the end of the text: the server will say so. */
function endOf(text: string, begin: number, mark: string): number {
  const { end } = pieceAt(text, begin)
  // A string that ends in two ways ends in the way of `standard_conforming_strings`, which is on unless it has been switched off.
  const certain = end < 0 && mark === "'" ? endOfQuoted(text, begin, mark, false) : end
  return certain < 0 ? text.length : certain
}
