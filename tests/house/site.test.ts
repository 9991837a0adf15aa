/** The documentation as a site: it can be built, no link of it is dead, programs can read it, and it loads nothing from other hosts. */

import { execFile } from 'node:child_process'
import { glob, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pageOf } from '../../docs/.vitepress/links.ts'
import { find, ROOT } from './repository.ts'

const run = promisify(execFile)

let site: string
/** From the path of each page, without `.html`, to its text. */
const pages = new Map<string, string>()

beforeAll(async () => {
  site = await mkdtemp(join(tmpdir(), 'thaw-site-'))
  // It refuses links to pages that are not there, and says where they are.
  await run(join(ROOT, 'node_modules/.bin/vitepress'), ['build', 'docs', '--outDir', site, '--minify', 'false'], { cwd: ROOT })
  for await (const path of glob('**/*.html', { cwd: site })) {
    pages.set(`/${path.replace(/(^|(?<=\/))index\.html$|\.html$/, '')}`, await readFile(join(site, path), 'utf8'))
  }
}, 300_000)
afterAll(() => rm(site, { recursive: true, force: true }))

test('every document is a page, in HTML and as plain Markdown', async () => {
  const index = await readFile(join(site, 'llms.txt'), 'utf8')
  const files = await find('*.md', 'docs/**/*.md', 'packages/*/README.md', 'apps/*/README.md')
  for (const file of files) {
    const page = pageOf(file)
    expect(page, file).toBeDefined()
    expect(index, file).toContain(`(/${page})`)
    expect(pages.has(`/${page?.replace(/(^|(?<=\/))index\.md$|\.md$/, '')}`), file).toBe(true)
    expect(await readFile(join(site, page ?? ''), 'utf8'), file).toMatch(/^# /m)
  }
})

test('links lead to headings that are there', () => {
  const dead: string[] = []
  for (const [page, html] of pages) {
    for (const [, target = ''] of html.matchAll(/<a [^>]*href="([^"]+)"/g)) {
      const [path = '', anchor] = target.split('#')
      if (/^[a-z]+:/.test(path) || page === '/404') continue
      const text = path === '' ? html : pages.get(path)
      if (text === undefined) dead.push(`${page}: ${target}`)
      else if (anchor && !text.includes(`id="${decodeURIComponent(anchor)}"`)) dead.push(`${page}: ${target} (no such heading)`)
    }
  }
  expect(pages.size).toBeGreaterThan(20)
  expect(dead).toEqual([])
})

test('plain pages link to plain pages', async () => {
  const dead: string[] = []
  for await (const page of glob('**/*.md', { cwd: site })) {
    const text = await readFile(join(site, page), 'utf8')
    for (const [, path = ''] of text.matchAll(/\]\((\/[^)#\s]*)/g)) {
      const target = await readFile(join(site, path), 'utf8').catch(() => undefined)
      if (target === undefined) dead.push(`${page}: ${path}`)
    }
  }
  expect(dead).toEqual([])
})

test('nothing is loaded from elsewhere', () => {
  for (const [page, html] of pages) {
    const loaded = [...html.matchAll(/<(?:script|link|img)[^>]* (?:src|href)="([^"]+)"/g)].map((match) => match[1])
    expect(
      loaded.filter((address) => !/^(?:\/|data:)/.test(address ?? '')),
      page,
    ).toEqual([])
  }
})
