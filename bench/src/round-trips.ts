/** Round trips that the first question after a thaw waits for, counted by the proxy between the app and PostgreSQL. */

import { Client as ThawClient } from '@thaw/pg'
import { type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import pg from 'pg'
import { FATES, type Fate, type FrozenLab, openFrozenLab, type Woken } from './freezes.ts'
import type { Question } from './frozen-app.ts'
import type { Figure, Row, Scenario } from './scenario.ts'
import { figureOf, median } from './statistics.ts'

const SAMPLES = 5
/** StartupMessage, and two for SCRAM. */
const DIAL = 3

/** BEGIN READ ONLY and COMMIT around a read that is sent again. */
const READ_ONLY = 2
/** So that a time is a number of round trips. */
const ONE_WAY_MILLIS = 5

type Ask = Question['ask']

interface Cell {
  readonly fate: Fate
  /** Extra round trips: beyond the statement's own. */
  readonly extra: Readonly<Partial<Record<Ask, number>>>
  readonly pgSamples: number
}

const dials = (extra: number) => ({ query: extra, write: extra, connect: extra })

const CELLS: readonly Cell[] = [
  { fate: FATES.fresh, extra: dials(0), pgSamples: SAMPLES },
  { fate: FATES.alive, extra: { query: 0, write: 1, connect: 1, invocation: 0 }, pgSamples: SAMPLES },
  { fate: FATES.fin, extra: dials(DIAL), pgSamples: SAMPLES },
  { fate: FATES.rst, extra: dials(DIAL), pgSamples: SAMPLES },
  { fate: FATES.dropped, extra: { ...dials(DIAL), query: DIAL + READ_ONLY }, pgSamples: 1 },
  { fate: FATES.none, extra: dials(DIAL), pgSamples: SAMPLES },
]

const SAYS: Readonly<Record<Ask, string>> = {
  query: '`pool.query()`, a read',
  write: '`pool.query()`, a write',
  connect: '`connect()` and a write',
  invocation: 'a write, in an invocation that reads its input first',
}

/** P-256 alone, as PostgreSQL up to 17 has it. */
const AS_BEFORE_18 = { ssl_groups: 'prime256v1' }

export const roundTrips: Scenario = {
  name: 'round-trips',
  title: 'Extra round trips of the first statement after a thaw, counted at the proxy',
  async run({ postgres, progress }) {
    const rows: Row[] = []
    const server = await postgres()
    await using lab = await openFrozenLab(server)
    lab.proxy.setDelay({ toServerMillis: ONE_WAY_MILLIS, toClientMillis: ONE_WAY_MILLIS })
    for (const cell of CELLS) {
      for (const [ask, extra] of Object.entries(cell.extra) as [Ask, number][]) {
        progress(`${cell.fate.says}, ${ask}`)
        rows.push(await count(lab, cell, ask, extra))
      }
    }
    for (const settings of [{}, AS_BEFORE_18]) rows.push(await countTls(settings))
    return {
      rows,
      notes: [
        `Each way takes ${ONE_WAY_MILLIS} ms. A dial without TLS has ${DIAL} round trips (startup, SCRAM), TCP's not counted. A read that is sent again costs ${READ_ONLY} more. In an invocation, what was asked while it read its input is not counted, but the time that the median then waited beyond plain pg's, in round trips. "No answer" and "failed" are what the caller saw. An unanswered question is no round trip: what it costs is time, see \`first-answer\`.`,
      ],
    }
  },
}

async function count(lab: FrozenLab, { fate, pgSamples }: Cell, ask: Ask, extra: number): Promise<Row> {
  const pgAnswers: Woken[] = []
  const answers: Woken[] = []
  for (let index = 0; index < SAMPLES; index++) {
    answers.push(await lab.wake('thaw', fate, ask))
    if (index < pgSamples) pgAnswers.push(await lab.wake('pg', fate, ask))
  }
  const plainMillis = ask === 'invocation' ? median(pgAnswers.map(({ millis }) => millis)) : undefined
  const thaw = shown(answers, plainMillis)
  return {
    measured: `${fate.says}, ${SAYS[ask]}`,
    unit: 'round trips',
    pg: shown(pgAnswers, plainMillis),
    thaw,
    target: {
      says: `≤ ${extra}`,
      met: thaw.remark === undefined && (ask === 'invocation' ? thaw.value : (thaw.high ?? extra + 1)) <= extra,
    },
  }
}

/** The statement's own is not extra. With `plainMillis`: what was waited beyond that, in round trips. What failed may have had none. */
function shown(answers: readonly Woken[], plainMillis: number | undefined): Figure {
  const bad = answers.find(({ outcome }) => outcome !== 'answered')
  const extra = answers.map(({ millis, roundTrips: all }) =>
    Math.max(0, plainMillis === undefined ? all - 1 : Math.round((millis - plainMillis) / (2 * ONE_WAY_MILLIS))),
  )
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
