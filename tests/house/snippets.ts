/** The TypeScript in the documents. */

/** A fenced block of a document. */
export interface Snippet {
  /** The document's path. */
  readonly page: string
  /** The line in the document on which its code begins, counted from 1. */
  readonly line: number
  /** The words behind the three backticks: the language first. */
  readonly info: readonly string[]
  readonly code: string
}

/** All fenced blocks of a document. Blocks in lists may be indented. */
export function snippetsOf(page: string, markdown: string): Snippet[] {
  const snippets: Snippet[] = []
  let open: { fence: string; indent: number; line: number; info: string[]; code: string[] } | undefined
  for (const [index, text] of markdown.split('\n').entries()) {
    const [, spaces = '', fence, info = ''] = /^(\s*)(`{3,}|~{3,})(.*)$/.exec(text) ?? []
    if (open && fence?.startsWith(open.fence) && info.trim() === '') {
      snippets.push({ page, line: open.line, info: open.info, code: open.code.join('\n') })
      open = undefined
    } else if (open) {
      open.code.push(text.slice(Math.min(open.indent, text.length - text.trimStart().length)))
    } else if (fence) {
      open = { fence, indent: spaces.length, line: index + 2, info: info.trim().split(/\s+/), code: [] }
    }
  }
  if (open) throw new Error(`${page}: the block that begins before line ${open.line} does not end.`)
  return snippets
}

/** Is it to be compiled? `ts nocheck` is for what cannot be whole: the two lines of a change. */
export function isCompiled({ info: [language, ...words] }: Snippet): boolean {
  return (language === 'ts' || language === 'tsx') && !words.includes('nocheck')
}

/** The file to compile it from: named by its page and line, or as the page says with `file=app.ts`, so that other blocks of the page can import it. */
export function fileOf({ page, line, info: [language, ...words] }: Snippet): string {
  const named = words.find((word) => word.startsWith('file='))
  return `${page}/${named ? named.slice('file='.length) : `line-${line}.${language}`}`
}

/** Its code with as many empty lines above that the compiler counts lines as the page does. */
export function sourceOf({ line, code }: Snippet): string {
  return '\n'.repeat(line - 1) + code
}
