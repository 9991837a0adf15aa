/** Does a text of several statements begin or end a transaction? For a pool that does both for its author. */

import { outlineOf } from './outline.ts'

const CONTROLS = /^(?:begin|start transaction|commit|end|abort|prepare transaction|rollback(?! (?:work |transaction )?to\b))(?![\w$])/
/** The body of a function, whose parts end in semicolons. */
const BODY = /\bbegin atomic\b.*?; ?end\b/g

/** False also for what cannot be read: the server will say what became of it. */
export function controlsTransaction(text: string): boolean {
  const parts = outlineOf(text)?.replace(BODY, ' ').split(';') ?? []
  return parts.some((part) => CONTROLS.test(part.trim()))
}
