/** docs/start/testing.md: its tests pass as they stand, each file by a vitest of its own; and the process ends. */

import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openPages, type Pages } from './pages.ts'

const PAGE = 'docs/start/testing.md'
/** Of vitest, on a busy machine. */
const LIMIT_MILLIS = '120000'

let pages: Pages

beforeAll(async () => {
  pages = await openPages(PAGE)
})
afterAll(() => pages[Symbol.asyncDispose]())

test('the tests of the page pass', async () => {
  const report = join(pages.folder, 'report.json')
  const vitest = join(pages.folder, 'node_modules/.bin/vitest')
  const values = [
    'run',
    '--root',
    pages.folder,
    '--reporter',
    'json',
    '--outputFile',
    report,
    '--testTimeout',
    LIMIT_MILLIS,
    '--hookTimeout',
    LIMIT_MILLIS,
  ]
  await promisify(execFile)(vitest, values, { timeout: 170_000 })
  const { numPassedTests, success } = JSON.parse(await readFile(report, 'utf8')) as { numPassedTests: number; success: boolean }
  expect({ numPassedTests, success }).toEqual({ numPassedTests: 3, success: true })
})
