/** Text of a page, in which everything that was not written here is escaped. */

/** Text that is markup already. Made by {@link html} alone. */
export class Markup {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** What can stand inside of markup. `undefined` and `false` are nothing. */
export type Content = Markup | string | number | false | undefined | readonly Content[]

/** A template whose values are escaped, unless they are {@link Markup}. For HTML and SVG, in text and in quoted attributes. */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Markup {
  return new Markup(strings.map((string, index) => string + render(values[index])).join(''))
}

function render(value: Content): string {
  if (value === undefined || value === false) return ''
  if (value instanceof Markup) return value.text
  if (typeof value === 'object') return value.map(render).join('')
  return escapeText(String(value))
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function escapeText(text: string): string {
  // Control characters are allowed in neither HTML nor SVG, and an error may quote any byte of the wire.
  return text.replace(/[^\P{Cc}\n\t]/gu, picture).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character)
}

// Unicode has pictures for the older ones, such as ␀.
function picture(control: string): string {
  const code = control.charCodeAt(0)
  return code < 0x20 ? String.fromCharCode(0x2400 + code) : '␦'
}
