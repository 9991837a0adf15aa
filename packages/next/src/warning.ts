/** How is a place reported? Next.js shows where it is in the sources if it is the stack of an error, and not if it is a text. */

const NAME = 'Thaw'

/** Writes the text to the console: `Thaw: …` in its first line, the stack of the place beneath. Where source maps are missing, the place is in what was built. */
export function warn(text: string): void {
  const warning = new Error(text.slice(`${NAME}: `.length, text.indexOf('\n')))
  warning.name = NAME
  warning.stack = text
  ;(globalThis as { console?: { warn(warning: Error): void } }).console?.warn(warning)
}
