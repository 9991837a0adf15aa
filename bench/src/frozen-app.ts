/** An app with one connection, in a process of its own, so that it can be frozen. Run by {@link import('./freezes.ts')}. */

import { createStoppableClock, serve } from '@thaw/testkit'
import pg from 'pg'
import { openConnections, openPool, type PeerName } from './peers.ts'

/** How long an answer is waited for: plain pg would wait for minutes. */
const CAP_MILLIS = 5000

/** What one question to the database came to. */
export interface Answer {
  readonly millis: number
  readonly outcome: 'answered' | 'failed' | 'no answer'
}

/** What a call is told. */
export interface Question {
  readonly peer: PeerName
  /** A read, or a client taken for more. */
  readonly ask: 'query' | 'connect'
  /** How long the freeze shall have been, by the wall clock of those who look. */
  readonly gapMillis: number
}

const [url = ''] = process.argv.slice(2)
const clock = createStoppableClock()
// Both as a serverless app would have them; the clock lets seconds of silence pass in milliseconds.
const options = { connectionString: url, max: 1, idleTimeoutMillis: 60_000, clock }
let pool: pg.Pool | undefined

async function timed(question: () => Promise<unknown>): Promise<Answer> {
  const before = performance.now()
  const outcome = await Promise.race([
    question().then(
      () => 'answered' as const,
      () => 'failed' as const,
    ),
    new Promise<'no answer'>((resolve) => setTimeout(() => resolve('no answer'), CAP_MILLIS).unref()),
  ])
  return { millis: performance.now() - before, outcome }
}

async function dial(): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  await client.query('select 1')
  void client.end().catch(() => {})
}

async function connectAndWrite(from: pg.Pool): Promise<void> {
  const client = await from.connect()
  try {
    await client.query('insert into written default values')
    client.release()
  } catch (error) {
    client.release(true)
    throw error
  }
}

serve({
  /** A new pool, with so many connections that have just been used. */
  async open({ peer, connections }: { readonly peer: PeerName; readonly connections: number }) {
    pool = openPool(peer, options as pg.PoolConfig)
    await openConnections(pool, connections)
  },
  dial: () => timed(dial),
  async ask({ ask, gapMillis }: Question) {
    const asked = pool
    if (!asked) throw new Error('Call open first.')
    clock.addWall(gapMillis)
    return timed(() => (ask === 'query' ? asked.query('select 1') : connectAndWrite(asked)))
  },
  close() {
    // Not awaited: a connection into the void closes when nobody waits for it any more.
    void pool?.end().catch(() => {})
  },
})
