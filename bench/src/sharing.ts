/** Reads that share connections, beside `pg.Pool` and postgres.js: statements at once, at a distance, and what the fast ones wait for. */

import { Pool as ThawPool } from '@thaw/pg'
import type { PostgresServer } from '@thaw/testkit'
import pg from 'pg'
import postgres from 'postgres'
import { openDistance } from './distance.ts'
import type { Figure, Row, Scenario, Setting } from './scenario.ts'
import { figureOf, median, rounded } from './statistics.ts'

const DISTANCES = [0, 1, 5, 20]
const SIZES = [1, 5, 10]
const CROWDS = [1, 8, 50, 200]
/** One more than what is told: a noisy machine reads pg.Pool against itself 0.95 to 1.05. */
const LEAST = 0.97
/** At least so many times pg.Pool's statements, by distance, at 50 on 5. */
const WANTED: Readonly<Record<number, number>> = { 0: 2.5, 1: 6, 5: 7 }
const CELL_MILLIS = 1500
const MOST_ROUNDS = 12
const WARM_STATEMENTS = 20_000
/** In one chunk, where nothing is between: what a service does, not what the first of its requests does. */
const MANY = 2000
/** Up to so many at once hardly share, and on no distance the core that each connection's backend gets decides more than the driver: new connections each time. */
const FEW = 8
const SITTINGS = 10
/** As far from postgres.js is level with it: two runs differ by as much. */
const LEVEL = 0.03
const TEXT = 'select $1::int + 1 as n'

/** A driver under test. */
interface Peer {
  ask(value: number): Promise<number | undefined>
  end(): Promise<unknown>
}

/** `again`: pg.Pool against itself, where only a few are at once. */
type Name = 'pg' | 'thaw' | 'postgres.js' | 'again'

/** Wall and CPU of one statement, in microseconds. */
interface Cost {
  readonly wall: number
  readonly cpu: number
}

const OPEN: Readonly<Record<Name, (url: string, max: number) => Peer>> = {
  pg: (connectionString, max) => ofPool(new pg.Pool({ connectionString, max })),
  again: (connectionString, max) => ofPool(new pg.Pool({ connectionString, max })),
  thaw: (connectionString, max) => ofPool(new ThawPool({ connectionString, max, share: 'auto' } as pg.PoolConfig)),
  'postgres.js': (url, max) => {
    const sql = postgres(url, { max, onnotice: () => {} })
    return { ask: async (value) => (await sql`select ${value}::int + 1 as n`)[0]?.['n'], end: () => sql.end() }
  },
}

function ofPool(pool: pg.Pool): Peer {
  pool.on('error', () => {})
  return { ask: async (value) => (await pool.query(TEXT, [value])).rows[0]?.n, end: () => pool.end() }
}

export const sharing: Scenario = {
  name: 'sharing',
  title: 'Reads that share connections: statements of `pool.query()`, so many at once',
  async run(setting) {
    const server = await setting.postgres()
    const rows: Row[] = []
    let ahead = 0
    let level = 0
    for (const distance of setting.quick ? [0, 5] : DISTANCES) {
      using there = await openDistance(server, distance)
      for (const max of setting.quick ? [1, 5] : SIZES) {
        for (const atOnce of setting.quick ? [1, 50] : CROWDS) {
          setting.progress(`${distance} ms, ${max} connections, ${atOnce} at once`)
          const cell = await measureCell(there.urlFor(server.url), { distance, max, atOnce }, setting.quick)
          const part = wallOf(cell, 'thaw') / wallOf(cell, 'postgres.js')
          if (part <= 1) ahead++
          else if (part <= 1 + LEVEL) level++
          rows.push(...rowsOf(cell, { distance, max, atOnce }))
        }
      }
    }
    const cells = rows.filter(({ unit, measured }) => unit === 'µs' && !measured.includes('CPU')).length
    rows.push(
      ...(await tenAtOnce(server)),
      await burst(server),
      ...(await besideSlow(server, setting)),
      ...(await thousand(server, setting)),
    )
    return {
      rows,
      notes: [
        `Time per statement (\`${TEXT}\`), and CPU time of the process where nothing is between. The three take turns in chunks, in an order that chance decides and that reads the same backwards. Ratio: pg.Pool's time by Thaw's, the median of the pairs: higher is faster. Distance: a proxy in a process of its own holds each chunk back. postgres.js with its defaults, which are its best here: it prepares each text, and sends ahead.`,
        `Where up to ${FEW} at once hardly share on no distance, pg.Pool against itself stands beside it, and all of them get new connections ${SITTINGS} times.`,
        `Thaw is ahead of postgres.js in ${ahead} of ${cells} cells, and within ${LEVEL * 100} % behind it in ${level}.`,
      ],
    }
  },
}

interface Where {
  readonly distance: number
  readonly max: number
  readonly atOnce: number
}

type Cell = Readonly<Record<Name, readonly Cost[]>>

const NAMES: readonly Name[] = ['pg', 'thaw', 'postgres.js']

async function measureCell(url: string, where: Where, isQuick: boolean): Promise<Cell> {
  const cell: Record<Name, Cost[]> = { pg: [], thaw: [], 'postgres.js': [], again: [] }
  const isNear = where.distance === 0 && where.atOnce <= FEW
  const sittings = isNear && !isQuick ? SITTINGS : 1
  for (let sitting = 0; sitting < sittings; sitting++) await sit(cell, url, where, isNear ? [...NAMES, 'again'] : NAMES, isQuick)
  return cell
}

/** With connections of its own. */
async function sit(
  cell: Record<Name, Cost[]>,
  url: string,
  { distance, max, atOnce }: Where,
  names: readonly Name[],
  isQuick: boolean,
): Promise<void> {
  // At a distance pg.Pool takes seconds for what the others do in one round trip.
  const statements = Math.max(atOnce, distance === 0 ? MANY : max * 8)
  const peers = shuffled(names).map((name) => [name, OPEN[name](url, max)] as const)
  // Warm: connections are open, texts are known, and the compiler has done its work: thousands of statements until then, more for more code.
  const turns = distance === 0 && cell.pg.length === 0 ? WARM_STATEMENTS / sizeOf(atOnce, statements) : 1
  for (const [, peer] of peers) for (let turn = 0; turn < turns; turn++) await runChunk(peer, atOnce, statements)
  const began = performance.now()
  const most = isQuick ? 2 : MOST_ROUNDS
  for (let round = 0; round < most && (round < 2 || performance.now() - began < CELL_MILLIS); round++) {
    const order = shuffled(peers)
    const sums = new Map<Name, Cost>()
    for (const one of [...order, ...order.toReversed()]) {
      const cost = await runChunk(one[1], atOnce, statements)
      const { wall, cpu } = sums.get(one[0]) ?? { wall: 0, cpu: 0 }
      sums.set(one[0], { wall: wall + cost.wall / 2, cpu: cpu + cost.cpu / 2 })
    }
    for (const [name, cost] of sums) cell[name].push(cost)
  }
  await Promise.all(peers.map(([, peer]) => peer.end()))
}

/** The one that comes after another all the time has its caches, and the core that it has left: in a fixed order pg.Pool read 0.77 against itself. */
function shuffled<T>(values: readonly T[]): T[] {
  return values
    .map((value) => ({ value, at: Math.random() }))
    .sort((one, other) => one.at - other.at)
    .map(({ value }) => value)
}

/** Of a chunk. Alone at a distance many would take seconds. */
function sizeOf(atOnce: number, statements: number): number {
  if (atOnce > 1) return statements
  return statements === MANY ? 200 : 20
}

async function runChunk(peer: Peer, atOnce: number, statements: number): Promise<Cost> {
  const each = Math.ceil(sizeOf(atOnce, statements) / atOnce)
  const caller = async (value: number): Promise<void> => {
    for (let turn = 0; turn < each; turn++) if ((await peer.ask(value)) !== value + 1) throw new Error('The answer of another statement')
  }
  const before = process.cpuUsage()
  const began = performance.now()
  await Promise.all(Array.from({ length: atOnce }, (_, index) => caller(index)))
  const millis = performance.now() - began
  const { user, system } = process.cpuUsage(before)
  const sent = each * atOnce
  return { wall: (millis * 1000) / sent, cpu: (user + system) / sent }
}

function wallOf(cell: Cell, name: Name): number {
  return median(cell[name].map(({ wall }) => wall))
}

function rowsOf(cell: Cell, { distance, max, atOnce }: Where): Row[] {
  const row = (clock: keyof Cost, target: (value: number) => Row['target']): Row => {
    const of = (name: Name) => figureOf(cell[name].map((cost) => cost[clock]))
    const ratio = figureOf(cell.pg.map((cost, index) => cost[clock] / (cell.thaw[index]?.[clock] ?? Number.NaN)))
    const other = of('postgres.js').value.toFixed(0)
    const itself = median(cell.pg.map((cost, index) => cost[clock] / (cell.again[index]?.[clock] ?? Number.NaN)))
    const beside = `postgres.js ${other} µs${cell.again.length > 0 ? `, pg.Pool against itself ${itself.toFixed(2)}` : ''}`
    const measured = `${distance} ms, \`max\` ${max}, ${atOnce} at once${clock === 'cpu' ? ', CPU' : ''} (${beside})`
    const wanted = target(rounded(ratio.value))
    return { measured, unit: 'µs', pg: of('pg'), thaw: of('thaw'), ratio, ...(wanted && { target: wanted }) }
  }
  const isMeasure = max === 5 && atOnce === 50
  const least = (isMeasure && WANTED[distance]) || LEAST
  const wall = row('wall', (value) => ({ says: `≥ ${least}`, met: value >= least }))
  if (distance > 0) return [wall]
  return [wall, row('cpu', (value) => (isMeasure ? { says: '≥ 2', met: value >= 2 } : undefined))]
}

/** Ten reads at once on one connection, in round trips. */
async function tenAtOnce(server: PostgresServer): Promise<Row[]> {
  using there = await openDistance(server, 5)
  const trips: Record<'pg' | 'thaw', number[]> = { pg: [], thaw: [] }
  for (const name of ['pg', 'thaw'] as const) {
    const peer = OPEN[name](there.urlFor(server.url), 1)
    await Promise.all([1, 2, 3].map(peer.ask))
    for (let turn = 0; turn < 20; turn++) {
      const alone = await timed(() => peer.ask(1))
      const ten = await timed(() => Promise.all(Array.from({ length: 10 }, (_, index) => peer.ask(index))))
      trips[name].push(ten / alone)
    }
    await peer.end()
  }
  const most = 1.3
  const thaw = figureOf(trips.thaw)
  return [
    {
      measured: 'ten reads at once on `max` 1, 5 ms away, in hundredths of a round trip',
      unit: 'round trips',
      pg: hundredths(figureOf(trips.pg)),
      thaw: hundredths(thaw),
      target: { says: `≤ ${most * 100}`, met: rounded(thaw.value) <= most },
    },
  ]
}

const hundredths = ({ value }: Figure): Figure => ({ value: value * 100 })

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

/** A burst of reads that are known to be fast, on a pool with one idle connection. */
async function burst({ url }: PostgresServer): Promise<Row> {
  const dials: Record<'pg' | 'thaw', number[]> = { pg: [], thaw: [] }
  for (let turn = 0; turn < 10; turn++) {
    for (const [name, pool] of [
      ['pg', new pg.Pool({ connectionString: url, max: 10 })],
      ['thaw', new ThawPool({ connectionString: url, max: 10, share: 'auto' } as pg.PoolConfig) as unknown as pg.Pool],
    ] as const) {
      for (let index = 0; index < 20; index++) await pool.query(TEXT, [index])
      let opened = 0
      pool.on('connect', () => opened++)
      await Promise.all(Array.from({ length: 50 }, (_, index) => pool.query(TEXT, [index])))
      dials[name].push(opened)
      await pool.end()
    }
  }
  const thaw = figureOf(dials.thaw)
  return {
    measured: 'dials of a burst of 50 fast reads on one idle connection, `max` 10',
    unit: 'tests',
    pg: figureOf(dials.pg),
    thaw,
    target: { says: '≤ 2', met: thaw.value <= 2 },
  }
}

/** One read in ten takes 200 ms: how long do the others wait? */
async function besideSlow(server: PostgresServer, { quick, progress }: Setting): Promise<Row[]> {
  const found: Record<'pg' | 'thaw', { p50: number[]; p99: number[]; worst: number[] }> = {
    pg: { p50: [], p99: [], worst: [] },
    thaw: { p50: [], p99: [], worst: [] },
  }
  for (let turn = 0; turn < (quick ? 1 : 5); turn++) {
    for (const name of turn % 2 ? (['pg', 'thaw'] as const) : (['thaw', 'pg'] as const)) {
      progress(`beside slow ones, ${name}: ${turn + 1}`)
      const pool =
        name === 'pg'
          ? new pg.Pool({ connectionString: server.url, max: 10 })
          : (new ThawPool({ connectionString: server.url, max: 10, share: 'auto' } as pg.PoolConfig) as unknown as pg.Pool)
      const waits: number[] = []
      const caller = async (place: number): Promise<void> => {
        for (let index = 0; index < 40; index++) {
          const isSlow = (index + place) % 10 === 0
          const began = performance.now()
          if (isSlow) await pool.query('select pg_sleep(0.2), $1::int as n', [index])
          else await pool.query(TEXT, [index])
          // The first ones are met by everybody for the first time.
          if (!isSlow && index > 10) waits.push(performance.now() - began)
        }
      }
      await Promise.all(Array.from({ length: 20 }, (_, place) => caller(place)))
      await pool.end()
      const sorted = waits.toSorted((one, other) => one - other)
      found[name].p50.push(sorted[Math.floor(sorted.length / 2)] ?? 0)
      found[name].p99.push(sorted[Math.floor(sorted.length * 0.99)] ?? 0)
      found[name].worst.push(sorted.at(-1) ?? 0)
    }
  }
  return (['p50', 'p99', 'worst'] as const).map((which) => {
    const plain = figureOf(found.pg[which])
    const thaw = figureOf(found.thaw[which])
    const target = { says: "not above pg.Pool's", met: rounded(thaw.value) <= rounded(plain.value) }
    return { measured: `${which} of the fast reads, where one in ten takes 200 ms, 20 at once on 10`, unit: 'ms', pg: plain, thaw, target }
  })
}

/** A thousand at once: who is served last, and what it holds on to. */
async function thousand(server: PostgresServer, { progress }: Setting): Promise<Row[]> {
  const last: Record<'pg' | 'thaw', number[]> = { pg: [], thaw: [] }
  const spread: Record<'pg' | 'thaw', number[]> = { pg: [], thaw: [] }
  const heap: Record<'pg' | 'thaw', number[]> = { pg: [], thaw: [] }
  for (let turn = 0; turn < 5; turn++) {
    for (const name of ['pg', 'thaw'] as const) {
      progress(`a thousand at once, ${name}: ${turn + 1}`)
      const peer = OPEN[name](server.url, 10)
      await Promise.all(Array.from({ length: 100 }, (_, index) => peer.ask(index)))
      globalThis.gc?.()
      const before = process.memoryUsage().heapUsed
      const began = performance.now()
      const ends: number[] = []
      const all = Array.from({ length: 1000 }, (_, index) => peer.ask(index).then(() => ends.push(performance.now() - began)))
      heap[name].push((process.memoryUsage().heapUsed - before) / 1024)
      await Promise.all(all)
      last[name].push(Math.max(...ends))
      spread[name].push(median(ends))
      await peer.end()
    }
  }
  const row = (measured: string, unit: Row['unit'], of: typeof last): Row => ({
    measured,
    unit,
    pg: figureOf(of.pg),
    thaw: figureOf(of.thaw),
  })
  return [
    row('1,000 at once on `max` 10: until the last is answered', 'ms', last),
    row('1,000 at once: until half are answered', 'ms', spread),
    row('1,000 at once: heap that they take, when all are asked', 'kB', heap),
  ]
}
