/** The suites against the newest pg of the registry, in a copy of this repository: what breaks when a user updates. Asks the registry, so it runs by name only. */

import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { listFailures, runTests } from './long-tests.ts'
import type { Scenario } from './scenario.ts'

const exec = promisify(execFile)
const ROOT = join(import.meta.dirname, '../..')
const PEERS = ['pg', '@types/pg', 'pg-cursor', 'pg-query-stream', '@neondatabase/serverless']
/** Folders, and which of their tests: what leans on the driver. */
const SUITES = [
  ['packages/pg', []],
  ['packages/neon', []],
  ['tests', ['downstream/', 'statements/', 'faults/submittables', 'faults/strays', 'faults/throwing']],
] as const

export const newest: Scenario = {
  name: 'newest',
  title: 'The newest pg and Neon driver',
  byNameOnly: true,
  async run({ progress }) {
    const copy = await mkdtemp(join(tmpdir(), 'thaw-newest-'))
    try {
      progress('copying what is committed')
      await exec('git', ['clone', '--quiet', ROOT, copy])
      progress('updating')
      const manager = await pnpmOf(copy)
      const pnpm = (...args: string[]) => exec('npx', ['-y', manager, ...args], { cwd: copy, maxBuffer: 1e8 })
      await pnpm('update', '--recursive', '--latest', ...PEERS)
      await pnpm('build')
      const versions = await Promise.all(PEERS.map(async (name) => `${name} ${await versionOf(copy, name)}`))
      const runs = []
      for (const [folder, filters] of SUITES) {
        progress(`testing ${folder}`)
        runs.push({ folder, run: await runTests(folder, filters, {}, copy) })
      }
      return {
        rows: runs.map(({ folder, run }) => ({
          measured: `${folder} (${run.failed} failed, ${run.skipped} skipped, ${run.seconds.toFixed(0)} s)`,
          unit: 'tests',
          thaw: { value: run.passed },
          target: { says: 'all', met: run.failed === 0 && run.passed > 0 },
        })),
        notes: [`With ${versions.join(', ')}.`, ...runs.flatMap(({ run }) => listFailures(run))],
      }
    } finally {
      await rm(copy, { recursive: true, force: true, maxRetries: 3 })
    }
  },
}

/** The version that the repository names. */
async function pnpmOf(folder: string): Promise<string> {
  const { packageManager } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { readonly packageManager: string }
  return packageManager
}

async function versionOf(folder: string, name: string): Promise<string> {
  const places = ['packages/neon', 'packages/pg', 'tests'].map((place) => join(folder, place, 'node_modules', name, 'package.json'))
  for (const place of places) {
    const text = await readFile(place, 'utf8').catch(() => undefined)
    if (text !== undefined) return (JSON.parse(text) as { readonly version: string }).version
  }
  throw new Error(`No version of ${name} is installed in the copy`)
}
