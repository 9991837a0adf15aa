/** What programs read: each page as plain Markdown beside its HTML, `llms.txt` with all of them, and `llms-full.txt` with all of their texts. */

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pageOf, siteLinkOf } from './links.ts'

interface Site {
  /** The repository's folder. */
  readonly root: string
  /** Where the site is written. */
  readonly outDir: string
  /** The repository's address, for links to what is no page. */
  readonly repository: string
  /** What the site is, in one sentence. */
  readonly description: string
}

/** The pages in reading order: `files` by their paths in the repository. */
export async function writePlainPages(files: readonly string[], { root, outDir, repository, description }: Site): Promise<void> {
  const lines = ['# Thaw', '', `> ${description}`, '']
  const texts: string[] = []
  for (const file of files) {
    const page = pageOf(file)
    if (page === undefined) throw new Error(`${file} is no page of the site. Add it to REWRITES in links.ts.`)
    const text = await readFile(join(root, file), 'utf8')
    const plain = relink(text, file, repository)
    await mkdir(dirname(join(outDir, page)), { recursive: true })
    await writeFile(join(outDir, page), plain)
    lines.push(`- [${titleOf(text, file)}](/${page})`)
    texts.push(plain.trimEnd())
  }
  await writeFile(join(outDir, 'llms.txt'), `${lines.join('\n')}\n`)
  await writeFile(join(outDir, 'llms-full.txt'), `${texts.join('\n\n---\n\n')}\n`)
}

/** Turns links from file to file into links from page to page, but for those in blocks of code. */
function relink(text: string, file: string, repository: string): string {
  const parts = text.split(/(^\s*(`{3,})[\s\S]*?^\s*\2\s*$)/m)
  return parts
    .filter((_, index) => index % 3 !== 2)
    .map((part, index) =>
      index % 2 === 1 ? part : part.replace(/\]\(([^)\s]+)\)/g, (_, target: string) => `](${siteLinkOf(target, file, repository)})`),
    )
    .join('')
}

export function titleOf(text: string, file: string): string {
  return (/^# (.*)$/m.exec(text)?.[1] ?? file).replaceAll('`', '')
}
