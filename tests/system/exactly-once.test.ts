/** The model of COMMIT, its loss, the fence and the question (`exactly-once.pml`), checked by spin in every order of events; and each rule that is left out is found. */

import { type ExecFileException, execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

const MODEL = join(import.meta.dirname, 'exactly-once.pml')
const TIMEOUT_MILLIS = 300_000
/** Steps of one schedule: many more than there are. */
const DEPTH = 20_000

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thaw-spin-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function run(program: string, args: readonly string[], cwd: string): Promise<string> {
  try {
    return (await promisify(execFile)(program, args, { cwd, timeout: TIMEOUT_MILLIS })).stdout
  } catch (error) {
    if ((error as ExecFileException).code === 'ENOENT')
      throw new Error(`${program} is not on this machine. Install it: apt-get install -y --no-install-recommends spin gcc libc6-dev`)
    throw error
  }
}

/** What spin has found. `leftOut`: a rule that the model is made without. */
async function check(leftOut?: string): Promise<string> {
  const cwd = await mkdtemp(join(folder, 'run-'))
  await run('spin', [...(leftOut ? [`-D${leftOut}`] : []), '-a', MODEL], cwd)
  await run('gcc', ['-w', '-O1', '-DSAFETY', '-o', 'pan', 'pan.c'], cwd)
  return run(join(cwd, 'pan'), [`-m${DEPTH}`], cwd)
}

test('nothing is stored twice, and what callers are told is true, in every order of events', { timeout: TIMEOUT_MILLIS }, async () => {
  const found = await check()
  // All of it, and no process waits for ever.
  expect(found).toMatch(/errors: 0\b/)
  expect(found).not.toMatch(/Search not completed|max search depth too small/)
  expect(Number(/(\d+) states, stored/.exec(found)?.[1])).toBeGreaterThan(100_000)
})

test.each(['NO_FENCE', 'NO_INCARNATION', 'TRUST_COMMITTED', 'NO_TOMBSTONE', 'NO_UNIQUE_KEY', 'NO_GENERATION'])(
  'finds %s',
  {
    timeout: TIMEOUT_MILLIS,
  },
  async (rule) => {
    expect(await check(rule)).toMatch(/assertion violated[\s\S]*errors: 1\b/)
  },
)
