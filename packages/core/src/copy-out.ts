/** Does a COPY only read: a table, or a query that only reads, to the client? Asked when its connection was lost, not of every statement. */

import { outlineOf } from './outline.ts'
import { judge } from './statement.ts'

const NAME = '(?:\\{[^{}]*\\}|[\\w$]+)'
const TABLE = new RegExp(`^copy (?:binary )?${NAME}(?:\\.${NAME}){0,2}(?: |\\([^()]*\\))to stdout(?![\\w$])`)
const QUERY = 'copy('
const TO_CLIENT = /^to stdout(?![\w$])/

/** False is no proof. To a file or a program it does more than read, and so may the query that it copies. */
export function copiesOut(text: string): boolean {
  const [outline = '', ...others] = outlineOf(text)
    ?.split(';')
    .filter((part) => part.trim() !== '')
    .map((part) => part.trim()) ?? ['']
  if (others.length > 0) return false
  if (!outline.startsWith(QUERY)) return TABLE.test(outline)
  const end = closeOf(outline, QUERY.length)
  return TO_CLIENT.test(outline.slice(end + 1)) && judge(outline.slice(QUERY.length, end)).kind === 'read'
}

/** Where the parenthesis ends that has been open since `from`: in an outline none is part of a name or of a constant. */
function closeOf(outline: string, from: number): number {
  let depth = 1
  for (let at = from; at < outline.length; at++) {
    if (outline[at] === '(') depth++
    else if (outline[at] === ')' && --depth === 0) return at
  }
  return outline.length
}
