/** What three reads at once on one connection cost, and whether a read after a silence carries its probe. Arguments: a connection string, a channel to subscribe to, or one of ATTACH. */

import { tracingChannel } from 'node:diagnostics_channel'
import { observe } from '@thaw/otel'
import { Pool } from '@thaw/pg'
import { createStoppableClock, startFaultProxy } from '@thaw/testkit'
import { attachPool } from '@thaw/vercel'
import { attachDatabasePool } from '@vercel/functions'

const ATTACH = { observe, attachPool, attachDatabasePool }
// A request on Vercel, which keeps its instance awake.
globalThis[Symbol.for('@vercel/request-context')] = { get: () => ({ waitUntil() {} }) }

const [, , url, how] = process.argv
const { hostname: host, port } = new URL(url)
const proxy = await startFaultProxy({ host, port: Number(port) })
const clock = createStoppableClock()
const nothing = () => {}
if (how?.startsWith('pg:'))
  tracingChannel(how).subscribe({ start: nothing, end: nothing, asyncStart: nothing, asyncEnd: nothing, error: nothing })
const pool = new Pool({ connectionString: proxy.urlFor(url), max: 1, idleTimeoutMillis: 60_000, hedge: false, clock })
ATTACH[how]?.(pool)

const three = () => Promise.all([1, 2, 3].map(() => pool.query('select 1')))
// Who is at the other end is known then, and how long the text takes.
for (const _ of [1, 2, 3]) await three()
const before = proxy.counters.roundTrips
await three()
const roundTrips = proxy.counters.roundTrips - before
const acquired = []
pool.subscribe((event) => {
  if (event.type === 'acquired') acquired.push(event.how)
})
clock.addWall(5_000)
await pool.query('select 1')
await pool.end()
await proxy.close()
process.stdout.write(`\n${JSON.stringify({ roundTrips, acquired })}\n`)
process.exit()
