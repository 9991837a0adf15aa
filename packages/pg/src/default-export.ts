/** The default export, as pg has one. */

import pg from 'pg'
import { Client } from './client.ts'
import type { PoolConstructor } from './drop-in-pool.ts'
import { native } from './native.ts'

/** What `import pg from 'pg'` gives, with Thaw's Pool and Client in their places. */
export type ThawPg = Omit<typeof pg, 'Pool' | 'Client' | 'native'> & {
  readonly Pool: PoolConstructor
  readonly Client: typeof Client
  readonly native: typeof native
}

/** pg's default export, with ours in it. */
export function withPool(Pool: PoolConstructor): ThawPg {
  return Object.defineProperties({}, { ...Object.getOwnPropertyDescriptors(pg), ...ours(Pool) }) as ThawPg
}

function ours(Pool: PoolConstructor): PropertyDescriptorMap {
  return {
    Pool: { value: Pool, enumerable: true },
    Client: { value: Client, enumerable: true },
    // Not enumerable, as in pg.
    native: { value: native, enumerable: false },
  }
}
