/**
 * No caller ever gets another caller's rows. Random programs of callers, in which each row names the caller that it is for, on a scripted server that takes no
 * time: each caller that waits is served or told, no place is lost, `max` is exceeded by no more than one, no write is sent twice, and nothing is left unhandled.
 *
 * What a program may do is in `test/program.ts`. THAW_SEED repeats the run that a failure has printed, THAW_RUNS makes it longer.
 */

import { illegalMoves } from '@thaw/pool'
import fc from 'fast-check'
import type pg from 'pg'
import { afterAll, describe, expect, test } from 'vitest'
import { InvariantError } from '../test/callers.ts'
import { asksStranger, dialsTooMany, leavesUnhandled, losesPlaces, plain, probesBusy, writesTwice } from '../test/planted.ts'
import { type Program, programs, type Step } from '../test/program.ts'
import { playScripted, type WorldConfig } from '../test/scripted-world.ts'
import { collectUnhandled } from '../test/unhandled.ts'
import { Pool } from './index.ts'

type Make = (config: WorldConfig) => pg.Pool

/** fast-check's verdict on so many programs. */
function judge(make: Make, of: fc.Arbitrary<Program>, numRuns: number, areAlike = false): Promise<fc.RunDetails<[Program]>> {
  const unhandled: unknown[] = []
  const seed = process.env['THAW_SEED']
  const property = fc.asyncProperty(of, (program) => playScripted(program, make, unhandled, areAlike))
  return collectUnhandled(unhandled, () =>
    fc.check(property, {
      numRuns: Number(process.env['THAW_RUNS'] ?? numRuns),
      ...(seed !== undefined && { seed: Number(seed) }),
    }),
  )
}

/** What a failure prints: the seed, the shrunk program and what is wrong with it. */
function report({ failed, seed, counterexample, errorInstance }: fc.RunDetails<[Program]>): string {
  return failed ? `THAW_SEED=${seed} ${JSON.stringify(counterexample?.[0])}\n${errorInstance}` : ''
}

// Each is a bug of ours, though it need not have hurt anybody.
afterAll(() => expect(illegalMoves).toEqual([]))

/** A cursor of pg's whose client is closed while it reads is never told of its end. */
function closesCursors({ steps }: Program): boolean {
  return !steps.some((step) => step.do === 'cursor') || !steps.some((step) => step.do === 'release' && step.how === 'destroy')
}

test('the control: pg.Pool keeps all of it, as long as nothing is the matter', async () => {
  expect(report(await judge(plain, programs('calm').filter(closesCursors), 1000))).toBe('')
})

/** What becomes of it depends on how it is shrunk: rows for the wrong caller, or a protocol that is out of step. */
const WRONG_ROWS = /got the rows of|got \d+ rows|got the error|thrown: |still waiting|lost places|told twice|terminated/

describe('what is planted in pg.Pool is found, and its program shrunk to a few steps', () => {
  test.each([
    ['a busy client that is probed', probesBusy, 'calm', WRONG_ROWS],
    [
      'a server asked that is another one',
      asksStranger,
      'calm',
      /nothing was the matter: .*(silent|terminated)|unhandled: Error: fell silent/,
    ],
    ['a place that is lost', losesPlaces, 'calm', /lost places|still waiting/],
    ['a connection too many', dialsTooMany, 'calm', /connections were open at once/],
    ['a rejection that is left unhandled', leavesUnhandled, 'calm', /unhandled: Error: of the pool itself/],
    ['a write that is sent twice', writesTwice, 'calm', /was written 2 times/],
  ] as const)('%s', async (_, make, what, complaint) => {
    const details = await judge(make, programs(what), 2000)
    expect(details.errorInstance, JSON.stringify(details.counterexample)).toBeInstanceOf(InvariantError)
    expect(String(details.errorInstance)).toMatch(complaint)
    expect(details.counterexample?.[0].steps.length).toBeLessThanOrEqual(8)
  })
})

const thaw: Make = (config) => new Pool({ ...config, share: false } as object) as unknown as pg.Pool
const sharing: Make = (config) => new Pool({ ...config, share: true } as object) as unknown as pg.Pool

const WORLD = { max: 1, trustMillis: 500, latency: 1, seed: 0, servers: 1 }
const quick = { kind: 'simple', sleep: 0 } as const
/** Its first flight asks which server that is. */
const ACQUAINTED: Step = { do: 'pool transaction', of: [quick], swallows: false, inPart: false }

test('a server asked that is another one is found in Thaw as well, where it cannot tell them apart', async () => {
  const acquainted = programs('calm').map((program) => ({ ...program, servers: 2, steps: [ACQUAINTED, ...program.steps] }))
  const { errorInstance, counterexample } = await judge(thaw, acquainted, 2000, true)
  expect(errorInstance, JSON.stringify(counterexample)).toBeInstanceOf(InvariantError)
  expect(String(errorInstance)).toMatch(/nothing was the matter: .*fell silent/)
  expect(counterexample?.[0].steps.length).toBeLessThanOrEqual(8)
})

/** What the property has found, as small as it made it. */
const found: Readonly<Record<string, Program>> = {
  'a chain that is not awaited, given back at once, is not probed while it runs': {
    ...WORLD,
    steps: [
      { do: 'connect', of: [quick, { ...quick, sleep: 602 }], release: 'at once' },
      { do: 'wait', millis: 600 },
      { do: 'query', callback: false, kind: 'write', sleep: 0 },
      { do: 'query', callback: false, kind: 'param', sleep: 0 },
    ],
  },
  'a statement of a release listener is not probed while it runs': {
    ...WORLD,
    steps: [
      { do: 'listen', to: 'release', once: true, kind: 'simple', sleep: 602 },
      { do: 'connect', of: [quick], release: 'at the end' },
      { do: 'wait', millis: 600 },
      { do: 'query', callback: false, kind: 'write', sleep: 0 },
      { do: 'query', callback: false, kind: 'param', sleep: 0 },
    ],
  },
  'a statement on a client that was given back long ago answers no other caller': {
    ...WORLD,
    steps: [
      { do: 'connect', of: [quick], release: 'at the end' },
      { do: 'wait', millis: 600 },
      { do: 'query', callback: false, kind: 'write', sleep: 0 },
      { do: 'use a released one', which: 0, ...quick },
    ],
  },
  'a healthy statement is not ended because another server behind the address does not know of it': {
    ...WORLD,
    servers: 2,
    steps: [{ do: 'query', callback: false, kind: 'write', sleep: 4000 }],
  },
  'nor where it is known on which of them it is': {
    ...WORLD,
    servers: 2,
    steps: [ACQUAINTED, { do: 'wait', millis: 100 }, { do: 'query', callback: false, kind: 'write', sleep: 4000 }],
  },
  'a slow read that another server behind the address does not know of, with others behind it: all are served': {
    ...WORLD,
    servers: 2,
    steps: [
      { do: 'query', callback: false, ...quick, sleep: 4000 },
      { do: 'query', callback: false, ...quick },
      { do: 'query', callback: false, kind: 'write', sleep: 0 },
    ],
  },
  'however many slow statements are asked after, it is one question at a time': {
    ...WORLD,
    max: 3,
    steps: [
      { do: 'query', callback: false, ...quick, sleep: 4000 },
      { do: 'query', callback: false, ...quick, sleep: 4000 },
      { do: 'query', callback: false, ...quick, sleep: 4000 },
    ],
  },
  'the connection of a transaction is lost, and its function goes on': {
    ...WORLD,
    steps: [
      { do: 'pool transaction', of: [{ ...quick, sleep: 600 }], swallows: true, inPart: false },
      { do: 'wait', millis: 499 },
      { do: 'fault', which: 0, how: 'fin' },
    ],
  },
  'the connection of a transaction is lost between its parts, and its function goes on': {
    ...WORLD,
    trustMillis: 0,
    steps: [
      { do: 'pool transaction', of: [quick, quick, quick], swallows: true, inPart: true },
      { do: 'wait', millis: 20 },
      { do: 'fault', which: 0, how: 'fin' },
    ],
  },
  'however many statements are given up at once, their CancelRequests take the places of their connections': {
    ...WORLD,
    max: 2,
    steps: [
      { do: 'query', callback: false, ...quick, sleep: 4000 },
      { do: 'query', callback: false, ...quick, sleep: 4000 },
      { do: 'wait', millis: 100 },
      { do: 'fault', which: 0, how: 'silence' },
      { do: 'fault', which: 1, how: 'silence' },
      { do: 'query', callback: false, ...quick },
      { do: 'query', callback: false, ...quick },
    ],
  },
}

describe.each(Object.entries(found))('%s', (_, program) => {
  test.each([
    ['Thaw', thaw],
    ['Thaw, sharing', sharing],
    ['pg.Pool, the control', plain],
  ] as const)('%s', async (__, make) => {
    const unhandled: unknown[] = []
    await collectUnhandled(unhandled, () => playScripted(program, make, unhandled))
  })
})

/** About 1.3 ms for each on one core. */
const PROGRAMS = 2500
const PATIENCE_MILLIS = 360_000

describe('no caller ever gets the rows of another, and the rest of it', () => {
  test.each([
    ['as long as nothing is the matter, when everybody is served', 'calm', thaw],
    ['whatever happens to the process and its connections', 'troubled', thaw],
    ['where reads share connections, as long as nothing is the matter', 'calm', sharing],
    ['where reads share connections, whatever happens', 'troubled', sharing],
  ] as const)('%s', { timeout: PATIENCE_MILLIS }, async (_, what, make) => {
    expect(report(await judge(make, programs(what, undefined, make === sharing), PROGRAMS))).toBe('')
  })
})
