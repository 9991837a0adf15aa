/** Runs tests of other packages in a longer variant than `pnpm test` does, and counts. */

import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

export interface TestRun {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly seconds: number
  /** Names of those that failed. */
  readonly failures: readonly string[]
}

interface Outcome {
  readonly testResults: readonly { readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[] }[]
}

const ROOT = join(import.meta.dirname, '../..')

/** @param folder of the package, below the root of the house. `root`: of a copy of it. */
export async function runTests(
  folder: string,
  filters: readonly string[],
  env: Readonly<Record<string, string>>,
  root: string = ROOT,
): Promise<TestRun> {
  const cwd = join(root, folder)
  const vitest = join(dirname(createRequire(join(cwd, 'package.json')).resolve('vitest/package.json')), 'vitest.mjs')
  const scratch = await mkdtemp(join(tmpdir(), 'thaw-bench-'))
  const file = join(scratch, 'outcome.json')
  const before = performance.now()
  try {
    const output = await runNode([vitest, 'run', '--reporter=json', `--outputFile=${file}`, ...filters], cwd, env)
    const outcome = await readFile(file, 'utf8').catch(() => {
      throw new Error(`The tests in ${folder} did not run.\n${output.slice(-4000)}`)
    })
    return summarize(JSON.parse(outcome) as Outcome, (performance.now() - before) / 1000)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

function summarize({ testResults }: Outcome, seconds: number): TestRun {
  const results = testResults.flatMap(({ assertionResults }) => assertionResults)
  const failed = results.filter(({ status }) => status === 'failed')
  const passed = results.filter(({ status }) => status === 'passed').length
  return {
    passed,
    failed: failed.length,
    skipped: results.length - passed - failed.length,
    seconds,
    failures: failed.map(({ fullName }) => fullName),
  }
}

/** Resolves with what it printed, however it ended: tests that fail are a result. */
function runNode(args: readonly string[], cwd: string, env: Readonly<Record<string, string>>): Promise<string> {
  const child = spawn(process.execPath, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const collect = (chunk: Buffer) => {
    output += chunk.toString()
  }
  child.stdout.on('data', collect)
  child.stderr.on('data', collect)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', () => resolve(output))
  })
}

/** At most so many names are listed. */
const MOST_NAMES = 20

/** The failures, for below the table. */
export function listFailures({ failures }: TestRun): string[] {
  const more = failures.length - MOST_NAMES
  return [...failures.slice(0, MOST_NAMES).map((name) => `- failed: ${name}`), ...(more > 0 ? [`- and ${more} more`] : [])]
}
