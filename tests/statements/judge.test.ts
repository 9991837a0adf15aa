/**
 * PostgreSQL is the judge: what the lexer calls a read runs in a READ ONLY transaction, and leaves no trace outside of it. Nor does it leave one
 * when it is sent as it is, which is how it is sent the first time.
 */

import { classifyStatement } from '@thaw/core'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Court, openCourt, READ_ONLY } from './court.ts'
import { UNKNOWN, WITH_A_TRACE } from './effects.ts'
import { statement } from './generated.ts'
import { DRIZZLE, KYSELY } from './query-builders.ts'
import { type Asked, OTHERS, PRISMA, TYPEORM } from './reads.ts'

const seed = Number(process.env['THAW_SEED'] ?? Date.now() % 2 ** 31)
const numRuns = Number(process.env['THAW_RUNS'] ?? 300)

const isRead = (text: string) => classifyStatement(text).kind === 'read'

describe.for<readonly [builder: string, asked: readonly Asked[], atLeast: number]>([
  ['Drizzle', DRIZZLE, 16],
  ['Kysely', KYSELY, 12],
  ['Prisma', PRISMA, 10],
  ['TypeORM', TYPEORM, 7],
  ['others and by hand', OTHERS, 60],
])('the reads of %s', ([, asked, atLeast]) => {
  let court: Court
  beforeAll(async () => {
    court = await openCourt()
  })
  afterAll(() => court[Symbol.asyncDispose]())

  test(`are at least ${atLeast}`, () => {
    expect(asked.length).toBeGreaterThanOrEqual(atLeast)
  })

  test.for(asked)('%s', async ([text, ...values]) => {
    expect(isRead(text)).toBe(true)
    expect(await court.try(text, values)).toEqual({ refused: undefined, traces: [] })
  })
})

describe('what has an effect', () => {
  let court: Court
  beforeAll(async () => {
    court = await openCourt()
  })
  afterAll(() => court[Symbol.asyncDispose]())

  test.for(WITH_A_TRACE)('%s is no read, and would leave a trace', async (text) => {
    expect(isRead(text)).toBe(false)
    expect((await court.try(text)).traces).not.toEqual([])
  })

  test.for(UNKNOWN)('%j is no read', (text) => {
    expect(isRead(text)).toBe(false)
  })
})

describe.for(['standard', 'backslashes'] as const)('with %s in plain strings', (dialect) => {
  test(`no generated statement is wrongly called a read (seed ${seed})`, async () => {
    await using court = await openCourt(dialect)
    const judged = new Set<string>()
    await fc.assert(
      fc.asyncProperty(statement, async (text) => {
        if (!isRead(text) || judged.has(text)) return
        const { refused, traces } = await court.try(text)
        expect(traces).toEqual([])
        expect(refused).not.toBe(READ_ONLY)
        if (!refused) judged.add(text)
      }),
      { seed, numRuns },
    )
    console.log(`${judged.size} generated reads judged, seed ${seed}`)
    expect(judged.size).toBeGreaterThanOrEqual(Math.floor(numRuns / 20))
  }, 300_000)
})
