/** A process with many runtimes of one fleet, each a pool of one connection, that use it in every way and think between. It is frozen at any instruction. */

import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from '@thaw/pg'
import { createSeededRandom, serve } from '@thaw/testkit'

/** What the parent wants. */
export interface FleetWork {
  readonly url: string
  readonly runtimes: number
  readonly seed: number
  /** The longest pause between two uses of one runtime. */
  readonly thinkMillis: number
}

/** What was done and told, by the way in which it was used. */
export interface FleetTold {
  readonly calls: Readonly<Record<string, number>>
  /** Writes that were confirmed: each is in the table once. */
  readonly confirmed: readonly string[]
  readonly failures: readonly string[]
  /** Sessions that were lost, by what the pools say. */
  readonly lost: number
  /** Of those: ended by the server's `idle_session_timeout`. */
  readonly endedThemselves: number
  /** Sessions that were given up on a full server. */
  readonly yielded: number
  readonly reconnected: number
}

type Use = (pool: Pool, id: string, pauseMillis: number) => Promise<readonly string[]>

const INSERT = 'insert into ledger values'

/** Returns the ids that it was told are stored. */
const USES: Readonly<Record<string, Use>> = {
  async read(pool) {
    await pool.query('select 1')
    return []
  },
  async 'read with values'(pool) {
    await pool.query('select $1::int', [1])
    return []
  },
  async 'reads at once, which share'(pool) {
    const answers = await Promise.all([1, 2, 3, 4].map((n) => pool.query('select $1::int as n', [n])))
    if (answers.some(({ rows }, i) => rows[0].n !== i + 1)) throw new Error(`An answer was another's: ${JSON.stringify(answers)}`)
    return []
  },
  async write(pool, id) {
    await pool.query(`${INSERT} ('${id}')`)
    return [id]
  },
  async 'write with values'(pool, id) {
    await pool.query(`${INSERT} ($1)`, [id])
    return [id]
  },
  async 'write in a function'(pool, id) {
    await pool.query('select note($1)', [id])
    return [id]
  },
  async transaction(pool, id) {
    const client = await pool.connect()
    try {
      await client.query('begin')
      await client.query(`${INSERT} ($1)`, [`${id}a`])
      await client.query(`${INSERT} ('${id}b')`)
      await client.query('commit')
    } finally {
      client.release()
    }
    return [`${id}a`, `${id}b`]
  },
  async 'transaction of the pool'(pool, id) {
    await pool.transaction(async (tx) => {
      await tx.query(`${INSERT} ($1)`, [`${id}a`])
      await tx.query(`${INSERT} ($1)`, [`${id}b`])
    })
    return [`${id}a`, `${id}b`]
  },
  async batch(pool, id) {
    await pool.batch([`${INSERT} ('${id}a')`, { text: `${INSERT} ($1)`, values: [`${id}b`] }])
    return [`${id}a`, `${id}b`]
  },
  async 'transaction with a pause'(pool, id, pauseMillis) {
    const client = await pool.connect()
    try {
      await client.query('begin')
      await client.query(`${INSERT} ($1)`, [id])
      await sleep(pauseMillis)
      await client.query('commit')
    } finally {
      client.release()
    }
    return [id]
  },
  async 'held between statements'(pool, id, pauseMillis) {
    const client = await pool.connect()
    try {
      await client.query(`${INSERT} ('${id}a')`)
      await sleep(pauseMillis)
      await client.query(`${INSERT} ('${id}b')`)
    } finally {
      client.release()
    }
    return [`${id}a`, `${id}b`]
  },
  async 'held before the first'(pool, id, pauseMillis) {
    const client = await pool.connect()
    try {
      await sleep(pauseMillis)
      await client.query(`${INSERT} ('${id}')`)
    } finally {
      client.release()
    }
    return [id]
  },
}

const calls: Record<string, number> = {}
const confirmed: string[] = []
const failures: string[] = []
let lost = 0
let endedThemselves = 0
let yielded = 0
let reconnected = 0
let isOver = false
let running: Promise<unknown> = Promise.resolve()

async function live(pool: Pool, name: string, { seed, thinkMillis }: FleetWork): Promise<void> {
  const random = createSeededRandom(seed)
  const uses = Object.entries(USES)
  for (let call = 0; !isOver; call++) {
    // Most pauses are about as long as the trust and the lease: where anything could go wrong.
    await sleep(random() < 0.2 ? random() * 20 : random() * thinkMillis)
    const [what, use] = uses[Math.floor(random() * uses.length)] ?? []
    if (!what || !use || isOver) continue
    try {
      confirmed.push(...(await use(pool, `${name}-${call}-`, random() * thinkMillis)))
      calls[what] = (calls[what] ?? 0) + 1
    } catch (error) {
      const { message, code, cause } = error as Error & { code?: string }
      failures.push(`${what}: ${code} ${message} ${(cause as Error | undefined)?.message ?? ''}`)
    }
  }
  yielded += pool.stats().fleet?.yielded ?? 0
  await pool.end()
}

serve({
  start(work: FleetWork) {
    const lives = Array.from({ length: work.runtimes }, (_, i) => {
      const pool = new Pool({ connectionString: work.url, max: 1, idleTimeoutMillis: 0, fleet: 'ledger', connectionTimeoutMillis: 60_000 })
      pool.subscribe((event) => {
        if (event.type === 'stale') lost++
        if (event.type === 'stale' && event.code === '57P05') endedThemselves++
        if (event.type === 'connected') reconnected++
      })
      return live(pool, `${work.seed}-${i}`, { ...work, seed: work.seed * 1000 + i })
    })
    running = Promise.all(lives)
  },
  async stop(): Promise<FleetTold> {
    isOver = true
    await running
    return { calls, confirmed, failures, lost, endedThemselves, yielded, reconnected }
  },
})
