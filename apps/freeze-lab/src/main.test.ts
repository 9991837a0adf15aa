/** The command as people run it: another process, its output, its exit code, what it leaves behind. */

import { type ChildProcess, execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startPostgres } from '@thaw/testkit'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { FaultResult, LabResult } from './lab.ts'
import type { Recording } from './record/recording.ts'

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))

interface Run {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

describe('a run', () => {
  test('shows plain pg failing where Thaw does not, and errors only where nothing else is honest', async () => {
    const { code, stdout, stderr } = await run(
      '--json',
      '--seed',
      '7',
      '--fault',
      'rst-on-next-byte',
      '--fault',
      'database-away',
      '--fault',
      'answer-lost',
      '--fault',
      'answer-lost-transaction',
      '--fault',
      'answer-lost-key',
    )
    // The lab ends with 2 if a fault did not strike, so 0 says that they did.
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const result: LabResult = JSON.parse(stdout)
    expect(result.complaints).toEqual([])
    expect(result.faults.map(({ name }) => name)).toEqual([
      'rst-on-next-byte',
      'database-away',
      'answer-lost',
      'answer-lost-transaction',
      'answer-lost-key',
    ])
    const [reset, away, lost, whole, keyed] = result.faults as [FaultResult, FaultResult, FaultResult, FaultResult, FaultResult]
    for (const { pg, thaw } of [reset, away]) {
      expect(pg.failed).toBeGreaterThan(0)
      expect(thaw).toMatchObject({ calls: 12, failed: 0, unknown: 0, isCapped: false })
    }
    expect(away.thaw.worstWaitMillis).toBeGreaterThan(1_500)
    expect(lost.pg).toMatchObject({ calls: 13, failed: 0, unknown: 1 })
    expect(lost.thaw).toMatchObject({ calls: 13, failed: 0, rowsTwice: 0 })
    for (const { pg, thaw } of [whole, keyed]) {
      expect(pg).toMatchObject({ calls: 13, failed: 0, unknown: 1 })
      expect(thaw).toMatchObject({ calls: 13, failed: 0, unknown: 0, rowsTwice: 0, rowsMissing: 0 })
    }
    // As blogs have it: no error, and the order is there twice.
    for (const { retried } of [lost, whole, keyed]) expect(retried).toMatchObject({ failed: 0, unknown: 0, rowsTwice: 1 })
    expect(reset.retried).toBeUndefined()
    expect(result.total.thaw).toMatchObject({ failed: 0, rowsTwice: 0, rowsMissing: 0, crashes: 0 })
    for (const { recordings } of result.faults) for (const recording of [recordings.pg, recordings.thaw]) expectSound(recording)
    expect(away.recordings.thaw.troubles).toMatchObject([{ kind: 'refusing' }])
    expect(away.recordings.thaw.connections.map(({ code }) => code)).toContain('ECONNREFUSED')
    expect(reset.recordings.pg.crashes).toHaveLength(reset.pg.crashes)
  })

  test('prints a line for each fault and a table where there is no terminal', async () => {
    const { code, stdout } = await run('--fault', 'none', '--seed', '1', '--no-report')
    expect(code).toBe(0)
    expect(stdout).toContain('1/1 none: plain pg failed 0 of 12 calls')
    expect(stdout).toMatch(/\| \*\*all\*\* \|/)
    expect(stdout).toMatch(/--seed 1\n$/)
  })

  test('writes a report without a secret in it, and names it last', async () => {
    await using server = await startPostgres()
    const file = join(await temporaryFolder(), 'new/report.html')
    const { code, stdout } = await run('--url', server.url, '--fault', 'rst-on-next-byte', '--seed', '1', '--report', file)
    expect(code).toBe(0)
    expect(stdout.trimEnd().split('\n').at(-1)).toBe(`Report: ${file}`)
    const page = await readFile(file, 'utf8')
    expect(page).toContain('<section id="rst-on-next-byte">')
    expect(page).not.toContain(server.password)
    expect(page).not.toMatch(/\w+:\/\//)
  })

  test('leaves nothing behind when it is interrupted', async () => {
    const { child, ended } = start('--fault', 'silent-drop', '--no-report')
    for await (const chunk of child.stdout ?? []) if (String(chunk).includes('starting')) break
    await expect.poll(() => dataFolders(child)).toHaveLength(2)
    child.kill('SIGINT')
    expect(await ended).toMatchObject({ code: 130, stderr: 'freeze-lab: interrupted.\n' })
    expect(await dataFolders(child)).toEqual([])
  })

  test('stops in order when its output is no longer read, as with `| head -1`', async () => {
    await using server = await startPostgres()
    const { child, ended } = start('--url', server.url, '--fault', 'none', '--fault', 'fin', '--no-report')
    child.stdout?.once('data', () => child.stdout?.destroy())
    expect(await ended).toMatchObject({ code: 2, stderr: 'freeze-lab: The output cannot be written (EPIPE), so the lab has stopped.\n' })
    expect((await server.query("SELECT FROM pg_namespace WHERE nspname LIKE 'thaw_lab%'")).rows).toEqual([])
  })
})

test('ends with 1 when Thaw fails: here both lanes are plain pg', async () => {
  // Importing @thaw/pg gives pg, to the instances.
  const hook =
    "import { registerHooks } from 'node:module'; registerHooks({ resolve: (name, context, next) => next(name === '@thaw/pg' && context.parentURL.endsWith('/instance.ts') ? 'pg' : name, context) })"
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hook)}` }
  const { code, stdout } = await startWith(env, '--fault', 'fin-on-next-byte', '--no-report').ended
  expect(code).toBe(1)
  expect(stdout).toContain('Thaw should have done better:')
  expect(stdout).toMatch(/fin-on-next-byte: \d+ calls failed that should not have \(/)
})

describe('what cannot be run', () => {
  test('ends with a message and code 2', async () => {
    const { code, stdout, stderr } = await run('--fault', 'nope')
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^freeze-lab: There is no fault 'nope'\./)
  })

  test('does so without a stack or a password when the database is not there', async () => {
    const { code, stderr } = await run('--url', 'postgres://shop:secret@127.0.0.1:1/shop')
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: 'freeze-lab: The database at 127.0.0.1:1 cannot be used: connect ECONNREFUSED 127.0.0.1:1\n',
    })
  })
})

/** What the recording of any round has to be, whatever happened in it. */
function expectSound({ freezes, calls, connections, blows, decisions, crashes, fromMillis, toMillis }: Recording): void {
  const [freeze] = freezes
  expect(freezes).toEqual([{ fromMillis: expect.any(Number), toMillis: 0 }])
  const times = [
    ...connections.flatMap(({ dialledMillis, openedMillis, closedMillis }) => [dialledMillis, openedMillis, closedMillis]),
    ...[...decisions, ...crashes].map(({ atMillis }) => atMillis),
  ].filter((millis) => millis !== undefined)
  expect(Math.min(...times)).toBeGreaterThanOrEqual(fromMillis)
  expect(Math.max(...times)).toBeLessThanOrEqual(toMillis)
  // The clocks of the two processes agree: a frozen one notices nothing.
  expect(times.filter((millis) => millis > (freeze?.fromMillis ?? 0) && millis < 0)).toEqual([])
  expect(calls.filter(({ phase }) => phase === 'warm-up')).toHaveLength(8)
  expect(connections.filter(({ diedMillis }) => diedMillis !== undefined)).toHaveLength(blows.reduce((sum, { count }) => sum + count, 0))
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'freeze-lab-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return folder
}

function run(...args: readonly string[]): Promise<Run> {
  return start(...args).ended
}

interface Started {
  readonly child: ChildProcess
  readonly ended: Promise<Run>
}

function start(...args: readonly string[]): Started {
  // The tests' own environment would turn on colours and the like.
  return startWith({ NODE_OPTIONS: '' }, ...args)
}

function startWith(env: NodeJS.ProcessEnv, ...args: readonly string[]): Started {
  const child = execFile(process.execPath, [MAIN, ...args], { env: { ...process.env, ...env } })
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.on('data', (text: string) => {
      output[name] += text
    })
  }
  return { child, ended: once(child, 'close').then(([code]) => ({ code, ...output })) }
}

// The testkit names the folders of its servers after the process that started them.
async function dataFolders({ pid }: ChildProcess): Promise<string[]> {
  return (await readdir(tmpdir())).filter((name) => name.startsWith(`thaw-postgres-${pid}-`))
}
