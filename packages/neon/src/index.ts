/**
 * Neon's serverless driver for processes that are frozen. `import { neon, Pool } from '@thaw/neon'` where you wrote
 * `from '@neondatabase/serverless'`: everything else that it exports is exported here too.
 *
 * @module
 */

export { Pool } from './pool.ts'
export * from './shared.ts'
