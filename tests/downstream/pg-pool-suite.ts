/**
 * node-postgres' own tests of its pool, run against the pool of your choice.
 *
 * `pnpm --filter thaw-tests pg-pool-suite FOLDER` runs another version of them, such as `packages/pg-pool` of a checkout of node-postgres.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type PostgresServer, startPostgres } from '@thaw/testkit'

const require = createRequire(import.meta.url)

/** What the tests `require('../')`: in a folder of their own, so by absolute path. */
const POOLS = {
  stock: `module.exports = require(${JSON.stringify(require.resolve('pg'))}).Pool\n`,
  thaw: `module.exports = require(${JSON.stringify(require.resolve('@thaw/pg'))}).Pool\n`,
}

/** They give the server 100 ms for ten new connections, and more like this. A busy machine needs longer: what fails, fails three times. */
const PATIENCE = ['--retries', '2']

/** The full titles of the tests, sorted, each once: one that calls `done` twice has failed. */
export interface SuiteResult {
  readonly passing: readonly string[]
  readonly pending: readonly string[]
  readonly failing: readonly string[]
}

interface MochaReport {
  readonly passes: readonly MochaTest[]
  readonly pending: readonly MochaTest[]
  readonly failures: readonly MochaTest[]
}

interface MochaTest {
  readonly fullTitle: string
}

/** Runs the tests in `folder`/test, where `folder` is a copy of the package pg-pool, against a database of `server`. */
export async function runPgPoolSuite(folder: string, pool: keyof typeof POOLS, server: PostgresServer): Promise<SuiteResult> {
  const place = await mkdtemp(join(tmpdir(), 'thaw-pg-pool-'))
  try {
    await cp(join(folder, 'test'), join(place, 'test'), { recursive: true, dereference: true })
    await writeFile(join(place, 'index.js'), POOLS[pool])
    await symlink(fileURLToPath(new URL('../node_modules', import.meta.url)), join(place, 'node_modules'))
    await runMocha(place, server)
    const report = JSON.parse(await readFile(join(place, 'report.json'), 'utf8')) as MochaReport
    const failing = titles(report.failures)
    return { passing: titles(report.passes).filter((title) => !failing.includes(title)), pending: titles(report.pending), failing }
  } finally {
    await rm(place, { recursive: true, force: true })
  }
}

/** The folder of the version in our devDependencies, the last one that was published with its tests. */
export function publishedSuite(): string {
  return dirname(require.resolve('pg-pool-suite/package.json'))
}

async function runMocha(cwd: string, server: PostgresServer): Promise<void> {
  const env = {
    PATH: process.env['PATH'],
    PGHOST: server.host,
    PGPORT: String(server.port),
    PGUSER: server.user,
    PGPASSWORD: server.password,
    PGDATABASE: server.database,
  }
  const mocha = join(dirname(require.resolve('mocha/package.json')), 'bin/mocha.js')
  const report = ['--reporter', 'json', '--reporter-option', 'output=report.json']
  // The older tests use what pg has deprecated since, and end the process at any warning.
  const options = ['--no-deprecation', mocha, '--require', 'test/setup.js', '--exit', ...report, ...PATIENCE]
  // The exit code is the number of failures, which the report tells better; the standard output is the report once more.
  const child = spawn(process.execPath, options, { cwd, env, stdio: ['ignore', 'ignore', 'inherit'] })
  await once(child, 'exit')
}

function titles(tests: readonly MochaTest[]): string[] {
  return [...new Set(tests.map((test) => test.fullTitle))].sort()
}

async function main(folder: string): Promise<void> {
  await using server = await startPostgres()
  for (const pool of ['stock', 'thaw'] as const) {
    const { passing, pending, failing } = await runPgPoolSuite(resolve(folder), pool, server)
    console.log(`${pool}: ${passing.length} passing, ${pending.length} pending, ${failing.length} failing`)
    for (const title of failing) console.log(`  ${title}`)
  }
}

if (import.meta.main) await main(process.argv[2] ?? publishedSuite())
