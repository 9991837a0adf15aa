/** Does a text begin or end a transaction? For a pool that does both for its author, and for what was lost inside of one. */

import { outlineOf } from './outline.ts'
import { judge } from './statement.ts'

const CONTROLS = /^(?:begin|start transaction|commit|end|abort|prepare transaction|rollback(?! (?:work |transaction )?to\b))(?![\w$])/
/** The body of a function, whose parts end in semicolons. */
const BODY = /\bbegin atomic\b.*?; ?end\b/g
/** Without one of these no text ends a transaction, however it is read. */
const ENDS = /(?<![\w$])(?:commit|end|abort|prepare|rollback)(?![\w$])/i

/** Of a text of several statements. False also for what cannot be read: the server will say what became of it. `hasStandardStrings`: see `outlineOf`. */
export function controlsTransaction(text: string, hasStandardStrings?: boolean): boolean {
  const parts = outlineOf(text, hasStandardStrings)?.replace(BODY, ' ').split(';') ?? []
  return parts.some((part) => CONTROLS.test(part.trim()))
}

/**
 * May the transaction that a text was sent in be over before the text is? What commits by itself (a procedure, DO, VACUUM) cannot do so inside of a transaction block: the server refuses it there
 * (2D000, 25001). False is certain. `hasStandardStrings`: see `outlineOf`.
 */
export function mayEndTransaction(text: string, hasStandardStrings?: boolean): boolean {
  if (text.includes('\0')) return true
  const parts = outlineOf(text, hasStandardStrings)?.split(';')
  if (!parts) return ENDS.test(text)
  return parts.map((part) => part.trim()).some((part) => part !== '' && (CONTROLS.test(part) || judge(part).kind === 'unknown'))
}
