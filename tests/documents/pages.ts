/** The snippets of the documents, as files that run: each as it stands, with the tests' packages beside it. */

import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { find, ROOT, read } from '../house/repository.ts'
import { fileOf, isCompiled, type Snippet, snippetsOf, sourceOf } from '../house/snippets.ts'

/** What a snippet exports, and its pool, which it may keep to itself. */
export type Module = Readonly<Record<string, unknown>>

export interface Pages extends AsyncDisposable {
  readonly folder: string
  readonly snippets: readonly Snippet[]
  /** The one snippet of the page that contains the text. Throws if there are several, or none. */
  one(page: string, text: string): Snippet
  pathOf(snippet: Snippet): string
  /** Loads it: once, as every module, unless it is named to be loaded `anew`. */
  run(snippet: Snippet, anew?: string): Promise<Module>
}

/** Writes the TypeScript of the documents into a folder of its own. Each file can be imported without `.ts`, too, as bundlers let it: Node asks for the whole name. */
export async function openPages(...globs: readonly string[]): Promise<Pages> {
  const folder = await mkdtemp(join(tmpdir(), 'thaw-pages-'))
  const pathOf = (snippet: Snippet) => join(folder, fileOf(snippet))
  const snippets: Snippet[] = []
  for (const page of await find(...globs)) snippets.push(...snippetsOf(page, await read(page)).filter(isCompiled))
  for (const snippet of snippets) {
    const hidden = /^const pool =/m.test(snippet.code) ? '\nexport { pool as poolOfThePage }\n' : ''
    await mkdir(dirname(pathOf(snippet)), { recursive: true })
    await writeFile(pathOf(snippet), sourceOf(snippet) + hidden)
    await symlink(basename(pathOf(snippet)), pathOf(snippet).replace(/\.tsx?$/, ''))
  }
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  await symlink(join(ROOT, 'tests/node_modules'), join(folder, 'node_modules'))
  return {
    folder,
    snippets,
    one(page, text) {
      const found = snippets.filter((snippet) => snippet.page === page && snippet.code.includes(text))
      const [only] = found
      if (!only || found.length > 1) throw new Error(`${found.length} snippets of ${page} contain "${text}"`)
      return only
    },
    pathOf,
    run: (snippet, anew) => import(pathToFileURL(pathOf(snippet)).href + (anew ? `?${anew}` : '')) as Promise<Module>,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}
