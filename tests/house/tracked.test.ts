/** What git keeps is written by people: no build, no cache, no state of a tool. */

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { ROOT } from './repository.ts'

const run = promisify(execFile)

/** Folders and files that tools make. `.gitignore` lets `git add --force`, and whatever was tracked before it was ignored, pass. */
const MADE_BY_TOOLS =
  /(^|\/)(\.wrangler|\.next|\.turbo|\.vitepress\/(cache|dist|\.temp)|dist|node_modules|coverage)\/|\.sqlite[^/]*$|\.tsbuildinfo$/

test('nothing that a tool makes is tracked', async () => {
  const { stdout } = await run('git', ['ls-files', '-z'], { cwd: ROOT, maxBuffer: 64 * 1024 * 1024 })
  const tracked = stdout.split('\0')
  expect(tracked).toContain('package.json')
  expect(tracked.filter((path) => MADE_BY_TOOLS.test(path))).toEqual([])
})

test.for([
  'apps/cloudflare/.wrangler/state/v3/d1/x.bin',
  'apps/vercel/.next/BUILD_ID',
  'packages/pg/dist/index.mjs',
  'node_modules/pg/index.js',
  'data/metadata.sqlite-wal',
  'docs/.vitepress/dist/index.html',
])('%s would be found', (path) => {
  expect(path).toMatch(MADE_BY_TOOLS)
})

test.for(['docs/distances.md', 'packages/pg/src/distribute.ts', 'docs/.vitepress/config.ts'])('%s is not taken for one', (path) => {
  expect(path).not.toMatch(MADE_BY_TOOLS)
})
