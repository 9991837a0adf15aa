/** The page of `@thaw/testkit`: each of its programs runs as it stands, in a process of its own, and writes what its comments say. */

import { execFile } from 'node:child_process'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openPages, type Pages } from '../documents/pages.ts'

const run = promisify(execFile)

const PAGE = 'packages/testkit/README.md'
/** Ends with the process: the page asks what the reader's code makes of it. */
const UNHANDLED = 'what does your code make of it?'

let pages: Pages

beforeAll(async () => {
  pages = await openPages(PAGE)
})
afterAll(() => pages[Symbol.asyncDispose]())

/** Comments that say what is written, and not how it reads. */
const REMARKS = ['exceptions and rejections', 'thawed:']

/** What a program's comments say that it writes: `console.log(…) // so`, up to a comma or an ellipsis. */
function told(code: string): string[] {
  const comments = [...code.matchAll(/console\.log\(.*\) \/\/ (.+)$/gm)].map(([, said = '']) => said.split(/[,…]/)[0]?.trim() ?? '')
  return comments.filter((said) => !REMARKS.some((remark) => said.startsWith(remark)))
}

test('each program ends, and says what its comments say', async () => {
  const programs = pages.snippets.filter(({ info }) => !info.some((word) => word.startsWith('file=')))
  expect(programs.length).toBeGreaterThan(10)
  const wrong: string[] = []
  for (const program of programs) {
    const path = pages.pathOf(program)
    const { stdout, stderr, code } = await run(process.execPath, [path], { cwd: dirname(path), timeout: 120_000 }).then(
      (result) => ({ ...result, code: 0 }),
      (error: { stdout: string; stderr: string; code: number }) => error,
    )
    const isUnhandled = program.code.includes(UNHANDLED)
    if ((code === 0) === isUnhandled) wrong.push(`line ${program.line} ended with ${code}: ${stderr.slice(0, 500)}`)
    for (const said of told(program.code))
      if (!stdout.includes(said)) wrong.push(`line ${program.line} does not say "${said}", but: ${stdout.slice(0, 500)}`)
  }
  expect(wrong).toEqual([])
})
