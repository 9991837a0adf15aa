/**
 * Two pools measured against each other on a machine that is never quiet. Chunks of milliseconds, so that both meet the same
 * weather; in an order that reads the same backwards, so that a steady drift cancels out; and the baseline twice, so that the
 * noise is seen beside the answer.
 */

import type pg from 'pg'
import { openConnections, openPool, type PeerName } from './peers.ts'

/** Time of the clock on the wall, and of this process on the CPU, per query, in microseconds. */
export interface Cost {
  readonly wall: number
  readonly cpu: number
}

/** What one round found: the baseline, the same thing once more, and the challenger. */
export interface Round {
  readonly baseline: Cost
  readonly again: Cost
  readonly challenger: Cost
}

export interface Load {
  readonly options: pg.PoolConfig
  /** How many queries are under way at any time. */
  readonly concurrency: number
  /** How many queries a chunk has. */
  readonly queries: number
  send(pool: pg.Pool): Promise<unknown>
}

const LANES = ['baseline', 'again', 'challenger'] as const
type Lane = (typeof LANES)[number]
const PEER: Readonly<Record<Lane, PeerName>> = { baseline: 'pg', again: 'pg', challenger: 'thaw' }
/** How often each palindrome is run before the pools are replaced. */
const PALINDROMES = 4

/** Opens three fresh pools and measures them turn by turn. `turn` decides who begins. */
export async function measureRounds(load: Load, turn: number): Promise<Round[]> {
  const order = LANES.map((_, index) => LANES[(index + turn) % LANES.length] ?? 'baseline')
  const pools = {} as Record<Lane, pg.Pool>
  for (const lane of order) {
    pools[lane] = openPool(PEER[lane], load.options)
    await openConnections(pools[lane], Math.min(load.concurrency, Number(load.options.max)))
    await runChunk(pools[lane], load)
  }
  const rounds: Round[] = []
  for (let index = 0; index < PALINDROMES; index++) {
    const total: Record<Lane, Cost> = { baseline: NOTHING, again: NOTHING, challenger: NOTHING }
    for (const lane of [...order, ...order.toReversed()]) total[lane] = add(total[lane], await runChunk(pools[lane], load))
    rounds.push(total)
    order.push(...order.splice(0, 1))
  }
  await Promise.all(LANES.map((lane) => pools[lane].end()))
  return rounds
}

const NOTHING: Cost = { wall: 0, cpu: 0 }

async function runChunk(pool: pg.Pool, { concurrency, queries, send }: Load): Promise<Cost> {
  const each = Math.ceil(queries / concurrency)
  const worker = async (): Promise<void> => {
    for (let index = 0; index < each; index++) await send(pool)
  }
  const cpuBefore = process.cpuUsage()
  const before = performance.now()
  await Promise.all(Array.from({ length: concurrency }, worker))
  const millis = performance.now() - before
  const { user, system } = process.cpuUsage(cpuBefore)
  const sent = each * concurrency
  return { wall: (millis * 1000) / sent, cpu: (user + system) / sent }
}

function add(a: Cost, b: Cost): Cost {
  return { wall: a.wall + b.wall / 2, cpu: a.cpu + b.cpu / 2 }
}
