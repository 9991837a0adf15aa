/** An app with one connection, in a process of its own, so that it can be frozen. Run by {@link import('./freezes.ts')}. */

import { type LambdaContext, withThaw } from '@thaw/lambda'
import { createStoppableClock, serve } from '@thaw/testkit'
import pg from 'pg'
import { openConnections, openPool, type PeerName } from './peers.ts'

/** How long an answer is waited for: plain pg would wait for minutes. */
const CAP_MILLIS = 5000

/** How long an invocation reads its input: longer than a round trip of 10 ms. Not counted. */
const PARSE_MILLIS = 30
const WRITE = 'insert into written default values'

/** What one question to the database came to. */
export interface Answer {
  readonly millis: number
  readonly outcome: 'answered' | 'failed' | 'no answer'
}

/** What a call is told. */
export interface Question {
  readonly peer: PeerName
  /** A read; a write; a client taken for more; a write in an invocation that has begun {@link PARSE_MILLIS} before. */
  readonly ask: 'query' | 'write' | 'connect' | 'invocation'
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
    await client.query(WRITE)
    client.release()
  } catch (error) {
    client.release(true)
    throw error
  }
}

const ASK: Readonly<Record<Question['ask'], (from: pg.Pool) => Promise<Answer>>> = {
  query: (from) => timed(() => from.query('select 1')),
  write: (from) => timed(() => from.query(WRITE)),
  connect: (from) => timed(() => connectAndWrite(from)),
  invocation: (from) =>
    withThaw(
      async (_event: unknown, _context: LambdaContext) => {
        await new Promise((resolve) => setTimeout(resolve, PARSE_MILLIS))
        return timed(() => from.query(WRITE))
      },
      { clock },
    )(undefined, CONTEXT),
}

const CONTEXT = { awsRequestId: 'bench', getRemainingTimeInMillis: () => 60_000 } as LambdaContext

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
    return ASK[ask](asked)
  },
  close() {
    // Not awaited: a dropped connection closes only once nothing waits for it.
    void pool?.end().catch(() => {})
  },
})
