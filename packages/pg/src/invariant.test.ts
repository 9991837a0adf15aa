/**
 * The same as in `invariant.property.test.ts`, on real PostgreSQL behind a proxy that cuts connections: fewer programs, since each takes its time.
 * What goes wrong there and not here is a mistake of the scripted server; and the other way round.
 */

import { startPostgres } from '@thaw/testkit'
import fc from 'fast-check'
import type pg from 'pg'
import { expect, test } from 'vitest'
import { plain, probesBusy } from '../test/planted.ts'
import { type Program, programs } from '../test/program.ts'
import { playReally, prepare, writtenTwice } from '../test/real-world.ts'
import { collectUnhandled } from '../test/unhandled.ts'
import { Pool } from './index.ts'

const PROGRAMS = 200
/** At once: most of the time is spent in waiting. */
const LANES = 8
const SHRINK_MILLIS = 5000
/** Who waits longer here waits for ever: so many waits of a hundredth each. */
const SOON_MILLIS = 500_000
/** A program of three connections takes at most four, and as many again while it ends. */
const SETTINGS = { max_connections: 100 }

const thaw = (config: object) => new Pool(config) as unknown as pg.Pool
const sharing = (config: object) => new Pool({ ...config, share: true } as object) as unknown as pg.Pool

/** What fails first, shrunk. */
async function judge(make: (config: object) => pg.Pool, what: 'calm' | 'any', count: number, patienceMillis?: number): Promise<string> {
  await using server = await startPostgres({ settings: SETTINGS })
  await prepare(server)
  const seed = Number(process.env['THAW_SEED'] ?? Math.trunc(Math.random() * 2 ** 31))
  const numRuns = Number(process.env['THAW_RUNS'] ?? count)
  const of = programs(what, undefined, make === sharing)
  const all = fc.sample(of, { seed, numRuns }).entries()
  const failed: { index: number; program: Program; error: unknown }[] = []
  const unhandled: unknown[] = []
  const lane = async () => {
    for (const [index, program] of all) {
      if (failed.length > 0) return
      await playReally(program, `p${index}`, server, make, patienceMillis).catch((error: unknown) => failed.push({ index, program, error }))
    }
  }
  await collectUnhandled(unhandled, () => Promise.all(Array.from({ length: LANES }, lane)))
  const [first] = failed
  if (!first) return [...unhandled, ...(await writtenTwice(server)).map((name) => `${name} was written more than once`)].join('\n')
  const property = fc.asyncProperty(of, (program) => playReally(program, `shrunk${Math.random()}`, server, make, patienceMillis))
  const details = await collectUnhandled(unhandled, () =>
    fc.check(property, { seed, path: `${first.index}`, numRuns, interruptAfterTimeLimit: SHRINK_MILLIS }),
  )
  return `THAW_SEED=${seed} ${JSON.stringify(details.counterexample?.[0] ?? first.program)}\n${first.error}`
}

test.each([
  ['pg.Pool, the control, as long as nothing is the matter', plain, 'calm', PROGRAMS / 4],
  ['Thaw, whatever happens', thaw, 'any', PROGRAMS],
  ['Thaw, where reads share connections, whatever happens', sharing, 'any', PROGRAMS / 2],
] as const)('no caller gets the rows of another: %s', { timeout: 120_000 }, async (_, make, what, count) => {
  expect(await judge(make, what, count)).toBe('')
})

test('a busy client that is probed, planted in pg.Pool, is found', { timeout: 120_000 }, async () => {
  expect(await judge(probesBusy as typeof plain, 'calm', PROGRAMS, SOON_MILLIS)).toMatch(/InvariantError/)
})
