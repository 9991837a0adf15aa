/** What a query costs where nothing was frozen and nothing is dead: the price of carrying Thaw around. */

import { type Cost, type Load, measureRounds, type Round } from './chunks.ts'
import type { Row, Scenario } from './scenario.ts'
import { figureOf, rounded } from './statistics.ts'

/** At most so many times what pg.Pool takes. */
const TARGET = 1.03
const MAX = 10

interface Case {
  readonly concurrency: number
  /** Queries per chunk: about 20 ms of work, a few time slices. */
  readonly queries: number
}

const CASES: readonly Case[] = [
  { concurrency: 1, queries: 160 },
  { concurrency: 10, queries: 400 },
  { concurrency: 32, queries: 416 },
]

const QUERIES: readonly { readonly says: string; readonly send: Load['send'] }[] = [
  { says: '`select 1`', send: (pool) => pool.query('select 1') },
  { says: '`select $1`', send: (pool) => pool.query('select $1::int + 1 as answer', [41]) },
]

export const hotPath: Scenario = {
  name: 'hot-path',
  title: 'Hot path: `pool.query()` on live connections, per query',
  async run({ postgres, quick, progress }) {
    const server = await postgres()
    const rows: Row[] = []
    for (const { concurrency, queries } of CASES) {
      for (const { says, send } of QUERIES) {
        const load: Load = { options: { connectionString: server.url, max: MAX }, concurrency, queries, send }
        const rounds: Round[] = []
        for (let turn = 0; turn < (quick ? 4 : 60); turn++) {
          // The first pools warm the compiler up.
          const measured = await measureRounds(load, turn)
          if (turn >= (quick ? 1 : 5)) rounds.push(...measured)
          progress(`${concurrency} at once, ${says}: ${turn + 1}`)
        }
        rows.push(...rowsOf(`${concurrency} at once, ${says}`, rounds))
      }
    }
    return {
      rows,
      notes: ['Ratio: the median of the pairs, and their quartiles. The noise is what `pg.Pool` reads against itself in the same rounds.'],
    }
  },
}

function rowsOf(measured: string, rounds: readonly Round[]): Row[] {
  return (['wall', 'cpu'] as const).map((clock) => {
    const of = (lane: keyof Round) => rounds.map((round) => round[lane][clock])
    const against = (lane: keyof Round) => figureOf(rounds.map((round) => ratio(round, lane, clock)))
    const result = against('challenger')
    const noise = against('again')
    const target = { says: `≤ ${TARGET}`, met: rounded(result.value) <= TARGET }
    return {
      measured: `${measured}, ${clock === 'wall' ? 'time' : 'CPU time'} (noise ${noise.value.toFixed(3)}, ${spread(noise.low)} to ${spread(noise.high)})`,
      unit: 'µs',
      pg: figureOf(of('baseline')),
      thaw: figureOf(of('challenger')),
      ratio: result,
      ...(clock === 'wall' && { target }),
    }
  })
}

function ratio(round: Round, lane: keyof Round, clock: keyof Cost): number {
  return round[lane][clock] / round.baseline[clock]
}

function spread(value: number | undefined): string {
  return value?.toFixed(2) ?? '–'
}
