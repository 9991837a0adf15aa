/** The pool, for the runtime in which it is loaded. */

import { runtimePoolOver } from '@thaw/pool'
import { driver } from './driver.ts'
import type { DropInPool, PoolConstructor } from './drop-in-pool.ts'

/** See {@link PoolConstructor}. */
export const Pool: PoolConstructor = runtimePoolOver(driver) as unknown as PoolConstructor
/** See {@link DropInPool}. */
export type Pool = DropInPool
