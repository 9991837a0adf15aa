/** Round trips that the first question after a thaw waits for, counted by the proxy between the app and PostgreSQL. */

import { Client as ThawClient } from '@thaw/pg'
import { type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import pg from 'pg'
import { FATES, type Fate, type FrozenLab, openFrozenLab, type Woken } from './freezes.ts'
import type { Figure, Row, Scenario } from './scenario.ts'
import { figureOf } from './statistics.ts'

const SAMPLES = 5
/** StartupMessage, and two for SCRAM. */
const DIAL = 3

interface Cell {
  readonly fate: Fate
  /** Extra round trips: beyond the statement's own. */
  readonly extra: number
  readonly pgSamples: number
}

const CELLS: readonly Cell[] = [
  { fate: FATES.fresh, extra: 0, pgSamples: SAMPLES },
  { fate: FATES.alive, extra: 1, pgSamples: SAMPLES },
  { fate: FATES.fin, extra: DIAL, pgSamples: SAMPLES },
  { fate: FATES.rst, extra: DIAL, pgSamples: SAMPLES },
  { fate: FATES.dropped, extra: DIAL, pgSamples: 1 },
  { fate: FATES.none, extra: DIAL, pgSamples: SAMPLES },
]

/** P-256 alone, as PostgreSQL up to 17 has it. */
const AS_BEFORE_18 = { ssl_groups: 'prime256v1' }

export const roundTrips: Scenario = {
  name: 'round-trips',
  title: 'Extra round trips of the first statement after a thaw, counted at the proxy',
  async run({ postgres, progress }) {
    const rows: Row[] = []
    await using lab = await openFrozenLab(await postgres())
    for (const cell of CELLS) {
      for (const ask of ['query', 'connect'] as const) {
        progress(`${cell.fate.says}, ${ask}`)
        rows.push(await count(lab, cell, ask))
      }
    }
    for (const settings of [{}, AS_BEFORE_18]) rows.push(await countTls(settings))
    return {
      rows,
      notes: [
        `A dial without TLS has ${DIAL} round trips (startup, SCRAM). "No answer" and "failed" are what the caller saw. An unanswered question is no round trip: what it costs is time, see \`first-answer\`.`,
      ],
    }
  },
}

async function count(lab: FrozenLab, { fate, extra, pgSamples }: Cell, ask: 'query' | 'connect'): Promise<Row> {
  const pgAnswers: Woken[] = []
  const answers: Woken[] = []
  for (let index = 0; index < SAMPLES; index++) {
    answers.push(await lab.wake('thaw', fate, ask))
    if (index < pgSamples) pgAnswers.push(await lab.wake('pg', fate, ask))
  }
  const thaw = shown(answers)
  return {
    measured: `${fate.says}, ${ask === 'query' ? '`pool.query()`' : '`connect()` and a write'}`,
    unit: 'round trips',
    pg: shown(pgAnswers),
    thaw,
    target: { says: `≤ ${extra}`, met: thaw.remark === undefined && (thaw.high ?? extra + 1) <= extra },
  }
}

/** The statement's own is not extra. What failed may have had none. */
function shown(answers: readonly Woken[]): Figure {
  const bad = answers.find(({ outcome }) => outcome !== 'answered')
  const extra = answers.map(({ roundTrips: all }) => Math.max(0, all - 1))
  const { value } = figureOf(extra, bad?.outcome)
  return { value, high: Math.max(...extra), ...(bad && { remark: bad.outcome }) }
}

async function countTls(settings: Readonly<Record<string, string>>): Promise<Row> {
  await using server = await startPostgres({ tls: true, settings })
  const pgCount = await dialTls(server, pg.Client)
  const thawCount = await dialTls(server, ThawClient)
  const isOld = settings === AS_BEFORE_18
  return {
    measured: `TLS dial with its first query, PostgreSQL ${isOld ? 'with P-256 alone, as before 18' : server.version}`,
    unit: 'round trips',
    pg: { value: pgCount },
    thaw: { value: thawCount },
    target: isOld ? { says: '1 fewer than pg', met: thawCount === pgCount - 1 } : { says: 'no more than pg', met: thawCount <= pgCount },
  }
}

async function dialTls(server: PostgresServer, Client: typeof pg.Client): Promise<number> {
  await using proxy = await startFaultProxy(server)
  const client = new Client({ connectionString: proxy.urlFor(server.url), ssl: { ca: server.ca ?? '' } })
  await client.connect()
  await client.query('select 1')
  const { roundTrips: counted } = proxy.counters
  await client.end()
  return counted
}
