/**
 * @thaw/neon on Cloudflare Workers: the same, with a pool that has WebSockets for each request. Chosen by the condition `workerd` of package.json, which
 * Wrangler sets.
 */

import { env } from 'cloudflare:workers'
import { scopedPoolOver } from '@thaw/pool'
import { driver } from './driver.ts'
import type { DropInPool, PoolConstructor } from './drop-in-pool.ts'
import { fetching } from './fetch-mode.ts'

export * from './shared.ts'

/** See {@link PoolConstructor}. */
export const Pool: PoolConstructor = fetching(scopedPoolOver(driver, env)) as unknown as PoolConstructor
/** See {@link DropInPool}. */
export type Pool = DropInPool
