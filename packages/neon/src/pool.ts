/** The pool, where sockets live as long as the process. */

import { poolOver } from '@thaw/pool'
import { driver } from './driver.ts'
import type { DropInPool, PoolConstructor } from './drop-in-pool.ts'
import { fetching } from './fetch-mode.ts'

/** See {@link PoolConstructor}. */
export const Pool: PoolConstructor = fetching(poolOver(driver)) as unknown as PoolConstructor
/** See {@link DropInPool}. */
export type Pool = DropInPool
