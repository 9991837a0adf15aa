/** Pages, comments, titles of tests and messages use the words of the field: docs/reference/terms.md. */

import { parseSync, Visitor } from 'oxc-parser'
import { expect, test } from 'vitest'
import { find, read } from './repository.ts'

/** A word that makes a reader stop, and the one to write instead. */
const OUT: readonly (readonly [RegExp, string])[] = [
  [/\b(?:lend|lends|lent|lending)\b/i, 'acquire, hand out, in use'],
  [/\bridd?en?\b|\brides?\b|\briding\b/i, 'piggyback'],
  [/\bswe(?:ep|pt|eps|eping)\b/i, 'poll the sockets'],
  [/\bin vain\b/i, 'timed out, wasted'],
  [/\bfound out\b/i, 'detected'],
  [/\bdialled\b|\bdialling\b/i, 'connection attempt, connect'],
  [/\b(?:whoever|whosoever|nobody|somebody)\b/i, 'the caller, you, no client'],
  [/\b(?:he|his|him|himself)\b/, 'the caller, they, it'],
  [/\bcondemn(?:ed|s)?\b/i, 'evict'],
  [/\bmisfortune\b/i, 'what happens'],
]

/** More pages join as they are rewritten. Names in code are left alone. */
const PAGES = [
  '{README,ARCHITECTURE,CONTRIBUTING,RELEASING,SECURITY}.md',
  'docs/{start,concepts,reference}/*.md',
  'packages/*/README.md',
  'apps/*/README.md',
  'CHANGELOG.md',
]

/** Code, and tables that a bench has written: subjects of commits stay as they are. */
const WRITTEN_OR_CODE = /^```[\s\S]*?^```|^<!-- bench:[\s\S]*?^<!-- \/bench:/gm

test('the first pages use the words of the field', async () => {
  const pages = await find(...PAGES)
  expect(pages.length).toBeGreaterThan(10)
  const found: string[] = []
  for (const page of pages) {
    const prose = (await read(page)).replace(WRITTEN_OR_CODE, '').replace(/`[^`\n]*`|\]\([^)]*\)/g, '')
    for (const [word, instead] of OUT) {
      const match = word.exec(prose)
      if (match) found.push(`${page}: "${match[0]}". Write: ${instead}`)
    }
  }
  expect(found).toEqual([])
})

/** What a reader of the code meets: comments, titles of tests, messages. */
test('comments, titles and messages use the words of the field', async () => {
  const sources = await find('{packages,apps,bench,tests,docs}/**/*.{ts,tsx,mts}', 'docs/.vitepress/*.ts')
  expect(sources.length).toBeGreaterThan(500)
  const found: string[] = []
  for (const source of sources) {
    // This file names them.
    if (source === 'tests/house/words.test.ts') continue
    const code = await read(source)
    // Most files have none of them even in their names. That is faster than to parse each.
    if (!OUT.some(([word]) => word.test(code))) continue
    for (const text of proseOf(source, code)) {
      const prose = text.replace(/`[^`\n]*`|\$\$\w+\$\$|"nobody"/g, '')
      for (const [word, instead] of OUT) {
        const match = word.exec(prose)
        if (match) found.push(`${source}: "${match[0]}" in "${prose.trim().slice(0, 80)}". Write: ${instead}`)
      }
    }
  }
  expect(found).toEqual([])
})

/** The comments, and the strings that have more than one word. */
function proseOf(path: string, source: string): string[] {
  const { program, comments, errors } = parseSync(path, source)
  if (errors[0]) throw new Error(`${path}: ${errors[0].message}`)
  const texts = comments.map(({ value }) => value)
  new Visitor({
    Literal: ({ value }) => {
      if (typeof value === 'string' && value.includes(' ')) texts.push(value)
    },
    TemplateElement: ({ value }) => {
      texts.push(value.raw)
    },
  }).visit(program)
  return texts
}

test.for([
  "test('nobody is told', () => {})",
  '// Whoever waits, is served.',
  'const a = 1 // a connection of his own',
  'const text = `it waited in vain`',
])('%s would be found', (source) => {
  expect(proseOf('a.ts', source).some((text) => OUT.some(([word]) => word.test(text)))).toBe(true)
})

test.for(['a connection is lent', 'it rides along', 'a ride in vain', 'once that is found out'])('"%s" would be found', (text) => {
  expect(OUT.some(([word]) => word.test(text))).toBe(true)
})
