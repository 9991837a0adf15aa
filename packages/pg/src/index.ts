/**
 * node-postgres for serverless. `import { Pool } from '@thaw/pg'` where you wrote `from 'pg'`: everything else that `pg`
 * exports is exported here too.
 *
 * @module
 */

export { type ThawPg, thawPg as default } from './default-export.ts'
export { Pool } from './pool.ts'
export * from './shared.ts'
