/**
 * What is left of a text once nothing in it can be misread: without constants, comments and upper case. PostgreSQL's lexical rules live
 * here.
 *
 * Linear in the length of the text. The runtime's own search does most of the work: a cold process must not pay for warming up a loop over
 * characters.
 *
 * Source: https://www.postgresql.org/docs/current/sql-syntax-lexical.html, and PostgreSQL's src/backend/parser/scan.l for what that leaves
 * open.
 */

/** Where something may begin in which characters do not mean what they seem to. */
const OPENING = /--|\/\*|['"$]/g
const COMMENT = /\/\*|\*\//g
const LINE_END = /[\n\r]|$/g
const DOLLARS = /\$(?:[a-z_\x80-\uffff][\w\x80-\uffff]*)?\$/iy
/** Before a quote. In the middle of a word these are letters like any other. */
const PREFIX = /(?<![\w$\x80-\uffff])(?:e|u&)$/i
const WORD_PART = /[\w$\x80-\uffff]/
const NAME = /^[a-z_][a-z\d_$]*$/
/** Outside constants, PostgreSQL does not know these characters; in the outline they have a meaning of their own. */
const STRANGE_MARK = /[{}\\]/
const STRANGE_CHARACTER = /[^ -~]/
/** A number that runs into a word. Up to PostgreSQL 14 these are two tokens. */
const STRANGE_NUMBER = /(?<![\w$])(?:\d+\.[a-z_]|(?!0x[\da-f]+(?![\w$])|\d[\d_]*(?:e[\d+-]\d*)?(?![\w$]))\$?\d+[a-z_])/

/** A constant, a quoted name, or a comment. */
interface Piece {
  readonly at: number
  /** -1 if it has no end. */
  readonly end: number
  /** What replaces it in the outline. */
  readonly left: string
}

/**
 * The outline of a text. In it
 *
 * - words are in lower case, and a letter that is not ASCII is `__`;
 * - a quoted name is in braces: `{name}`, or `{$}` if it needed its quotes;
 * - a string is `'`, a comment is a space;
 * - spaces are single, and there are none beside dots, colons and round parentheses.
 *
 * `undefined` if PostgreSQL could read the text differently than we do: something has no end, or ends in two ways depending on
 * `standard_conforming_strings`. `hasStandardStrings`: the server has said that this is on.
 */
export function outlineOf(text: string, hasStandardStrings: boolean = false): string | undefined {
  // The protocol ends a text at its first NUL.
  if (text.includes('\0')) return undefined
  const mayBeStrange = STRANGE_MARK.test(text)
  let outline = ''
  let from = 0
  for (OPENING.lastIndex = 0; OPENING.test(text); OPENING.lastIndex = from) {
    const piece = pieceAt(text, OPENING.lastIndex, hasStandardStrings)
    const between = text.slice(from, piece.at)
    if (piece.end < 0 || (mayBeStrange && STRANGE_MARK.test(between))) return undefined
    outline += between + piece.left
    from = piece.end
  }
  const rest = text.slice(from)
  if (mayBeStrange && STRANGE_MARK.test(rest)) return undefined
  outline = (outline + rest)
    // First, because JavaScript's lower case turns the Kelvin sign into a k. No word that we know has two underscores in a row.
    .replace(/[^\0-\x7f]/g, '__')
    .toLowerCase()
    .replace(/[\t-\r][\t-\r ]*| [\t-\r ]+/g, ' ')
    .replace(/ (?=[.:()])|(?<=[.:()]) /g, '')
    .trim()
  return STRANGE_CHARACTER.test(outline) || STRANGE_NUMBER.test(outline) ? undefined : outline
}

/** What begins with the mark before `begin`. */
export function pieceAt(text: string, begin: number, hasStandardStrings: boolean = false): Piece {
  const mark = text.charAt(begin - 1)
  if (mark === '-') return { at: begin - 2, end: endOfLine(text, begin), left: ' ' }
  if (mark === '*') return { at: begin - 2, end: endOfComment(text, begin), left: ' ' }
  if (mark === '$') {
    const isPart = WORD_PART.test(text.charAt(begin - 2)) || /\d/.test(text.charAt(begin))
    return isPart ? { at: begin, end: begin, left: '' } : { at: begin - 1, end: endOfDollars(text, begin - 1), left: "'" }
  }
  const prefix = 'eE&'.includes(text.charAt(begin - 2)) ? PREFIX.exec(text.slice(Math.max(0, begin - 4), begin - 1))?.[0] : undefined
  const isEscaped = mark === "'" && prefix?.length === 1
  const end = endOfQuoted(text, begin, mark, isEscaped)
  const inside = text.slice(begin, end - 1)
  if (mark === '"') return { at: begin - 1, end, left: !prefix && NAME.test(inside) ? `{${inside}}` : '{$}' }
  const isCertain = prefix !== undefined || hasStandardStrings || !endsInTwoWays(inside)
  return { at: begin - 1 - (prefix?.length ?? 0), end: isCertain ? end : -1, left: mark }
}

/** Behind the quote that closes. */
export function endOfQuoted(text: string, begin: number, quote: string, isEscaped: boolean): number {
  for (let at = begin; at < text.length; at++) {
    if (!isEscaped) at = text.indexOf(quote, at)
    if (at < 0) return -1
    if (isEscaped && text.charAt(at) === '\\') at++
    else if (text.charAt(at) === quote) {
      if (text.charAt(at + 1) !== quote) return at + 1
      at++
    }
  }
  return -1
}

/** Would the quote after this string be part of it, if backslashes had a meaning? Inside, quotes are doubled. */
function endsInTwoWays(inside: string): boolean {
  return inside.includes('\\') && inside.replace(/\\[^']/g, '').includes('\\')
}

function endOfDollars(text: string, begin: number): number {
  DOLLARS.lastIndex = begin
  const dollars = DOLLARS.exec(text)?.[0]
  if (!dollars) return -1
  const close = text.indexOf(dollars, begin + dollars.length)
  return close < 0 ? -1 : close + dollars.length
}

function endOfLine(text: string, begin: number): number {
  LINE_END.lastIndex = begin
  return LINE_END.exec(text)?.index ?? text.length
}

function endOfComment(text: string, begin: number): number {
  COMMENT.lastIndex = begin
  for (let depth = 1; depth > 0; ) {
    const mark = COMMENT.exec(text)?.[0]
    if (!mark) return -1
    depth += mark.endsWith('*') ? 1 : -1
  }
  return COMMENT.lastIndex
}
