/** The process of `shared-asleep.test.ts`: eight reads at once, which are under way when it is frozen. */

import { neonConfig } from '@neondatabase/serverless'
import { Pool as ThawNeonPool } from '@thaw/neon'
import { Pool as ThawPool } from '@thaw/pg'
import { type Neon, serve } from '@thaw/testkit'

/** What the child is told. */
export interface SharedAsleepOrder {
  /** Where the local Neon is. Undefined: the pool is one of `@thaw/pg`. */
  readonly neon?: Neon['driver']
  readonly connectionString: string
  readonly share: boolean
  readonly max: number
  readonly connectionTimeoutMillis: number
}

const TEXT = 'select $1::int as n'
let answers: Promise<(number | string)[]> | undefined

serve({
  async begin({ neon, ...config }: SharedAsleepOrder) {
    if (neon) Object.assign(neonConfig, neon)
    const pool = new (neon ? (ThawNeonPool as unknown as typeof ThawPool) : ThawPool)(config)
    pool.on('error', () => {})
    const ask = (n: number) => pool.query<{ n: number }>(TEXT, [n])
    for (let turn = 0; turn < 3; turn++) await Promise.all([1, 2, 3].map(ask))
    answers = Promise.all(
      [1, 2, 3, 4, 5, 6, 7, 8].map((n) =>
        ask(n).then(
          ({ rows }) => rows[0]?.n ?? 'no row',
          (error: Error) => error.message,
        ),
      ),
    )
  },
  ended: () => answers,
})
