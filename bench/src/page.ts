/** Tables that a page of the documentation takes from a bench, between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`. */

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

function split(text: string, mark: string, page: string): [string, string] {
  const at = text.indexOf(mark)
  if (at < 0) throw new Error(`${page} has no "${mark.trim()}". Put it where the table belongs.`)
  return [text.slice(0, at), text.slice(at + mark.length)]
}
