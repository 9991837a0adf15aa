/** Rules about the text of our files that no linter knows. */

import { expect, test } from 'vitest'
import { find, read } from './repository.ts'

const MOST_LINES = 400

test(`no source file has more than ${MOST_LINES} lines`, async () => {
  const files = await find('{packages,apps}/*/src/**/*.{ts,tsx}', 'bench/**/*.ts', 'tests/**/*.ts')
  expect(files).toContain('packages/core/src/index.ts')
  const long: string[] = []
  for (const file of files) {
    const lines = (await read(file)).trimEnd().split('\n').length
    if (lines > MOST_LINES) long.push(`${file}: ${lines}`)
  }
  expect(long).toEqual([])
})

/** vitest's ways not to run a test, or to call it passed when it fails. `onTestFailed` and the like are none. */
const EVASIONS =
  /\b(?:test|it|describe|suite|context|ctx|bench)(?:\.\w+)*\.(?:skip|only|todo|fails|skipIf|runIf)\b|\b[xf](?:it|describe)\(|[{,]\s*(?:skip|only|todo|fails)\s*[:,}]/

test('no test is skipped', async () => {
  const files = await find('{packages,apps}/**/*.test.{ts,tsx}', '{bench,tests}/**/*.test.ts')
  expect(files).toContain('tests/house/sources.test.ts')
  const skipped: string[] = []
  for (const file of files) if (EVASIONS.test(await read(file))) skipped.push(file)
  expect(skipped).toEqual([])
})

// Put together here, because the rule above reads this file too.
test.for([
  ...['skip', 'only', 'todo', 'fails', 'concurrent.skip'].map((name) => `test.${name}('x', () => {})`),
  ...['skipIf', 'runIf'].map((name) => `describe.${name}(isWindows)('x', () => {})`),
  ...['skip', 'todo'].map((name) => `test('x', { ${name}: true }, () => {})`),
  ...['xit', 'fdescribe'].map((name) => `${name}${"('x', () => {})"}`),
])('%s would be found', (text) => {
  expect(text).toMatch(EVASIONS)
})

test('an ordinary test is not taken for a skipped one', () => {
  expect("test.for([1])('skips nothing', ({ task }) => client.skip(task))").not.toMatch(EVASIONS)
})
