/**
 * @thaw/pg on Cloudflare Workers: the same, with a pool that has connections for each request. Chosen by the condition `workerd` of package.json, which
 * Wrangler sets.
 */

import { env } from 'cloudflare:workers'
import { scopedPoolOver } from '@thaw/pool'
import { type ThawPg, withPool } from './default-export.ts'
import { driver } from './driver.ts'
import type { DropInPool, PoolConstructor } from './drop-in-pool.ts'

export * from './shared.ts'

/** See {@link PoolConstructor}. */
export const Pool: PoolConstructor = scopedPoolOver(driver, env) as unknown as PoolConstructor
/** See {@link DropInPool}. */
export type Pool = DropInPool

const thawPg: ThawPg = withPool(Pool)
export default thawPg
