/** What a page of the documentation takes from a bench: tables between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`, and figures in a sentence. */

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from './bundle.ts'
import { renderTable } from './report.ts'
import type { Comparison } from './scenario.ts'

/** Replaces what is between the marks `name` in `page`, a path from the root. */
export async function writeTable(page: string, name: string, table: Comparison): Promise<void> {
  const path = join(ROOT, page)
  const text = await readFile(path, 'utf8')
  const [before, rest] = split(text, `<!-- bench:${name} -->\n`, page)
  const [, after] = split(rest, `<!-- /bench:${name} -->`, page)
  await writeFile(path, `${before}<!-- bench:${name} -->\n${renderTable(table)}\n<!-- /bench:${name} -->${after}`)
}

/** Replaces the one place in `page` where the sentence stands, with other figures. */
export async function writeSentence(page: string, sentence: RegExp, text: string): Promise<void> {
  const path = join(ROOT, page)
  const old = await readFile(path, 'utf8')
  if (!sentence.test(old)) throw new Error(`${page} has no sentence like ${sentence}. Correct the pattern where the bench writes it.`)
  await writeFile(path, old.replace(sentence, text))
}

function split(text: string, mark: string, page: string): [string, string] {
  const at = text.indexOf(mark)
  if (at < 0) throw new Error(`${page} has no "${mark.trim()}". Put it where the table belongs.`)
  return [text.slice(0, at), text.slice(at + mark.length)]
}
