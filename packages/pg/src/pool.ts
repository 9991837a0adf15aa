/** The pool, for the runtime in which it is loaded. */

import { runtimePoolOver } from '@thaw/pool'
import { Client } from './client.ts'
import { driver } from './driver.ts'
import type { DropInPool, PoolConstructor } from './drop-in-pool.ts'

/** See {@link PoolConstructor}. */
export const Pool: PoolConstructor = runtimePoolOver({ ...driver, PoolClient: Client }) as unknown as PoolConstructor
/** See {@link DropInPool}. */
export type Pool = DropInPool
