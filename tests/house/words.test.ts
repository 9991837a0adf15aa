/** The pages that users read use the words of the field: docs/reference/terms.md. */

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
  [/\bcondemned\b/i, 'evict'],
  [/\bmisfortune\b/i, 'what happens'],
]

/** More pages join as they are rewritten. Names in code are left alone. */
const PAGES = [
  '{README,ARCHITECTURE,CONTRIBUTING,SECURITY}.md',
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

/** What a reader of the code meets: comments and docstrings of everything that is published, and of the tools around it. */
test('comments use the words of the field', async () => {
  const sources = (await find('packages/*/src/**/*.ts')).filter((file) => !file.endsWith('.test.ts'))
  expect(sources.length).toBeGreaterThan(100)
  const found: string[] = []
  for (const source of sources) {
    const comments = (await read(source)).match(/^\s*(?:\/\*\*[\s\S]*?\*\/|\/\/.*$)/gm) ?? []
    for (const [word, instead] of OUT) {
      const match = word.exec(comments.join('\n').replace(/`[^`\n]*`/g, ''))
      if (match) found.push(`${source}: "${match[0]}". Write: ${instead}`)
    }
  }
  expect(found).toEqual([])
})

test.for(['a connection is lent', 'it rides along', 'a ride in vain', 'once that is found out'])('"%s" would be found', (text) => {
  expect(OUT.some(([word]) => word.test(text))).toBe(true)
})
