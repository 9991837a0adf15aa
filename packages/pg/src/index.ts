/**
 * node-postgres for serverless. `import { Pool } from '@thaw/pg'` where you wrote `from 'pg'`: everything else that `pg`
 * exports is exported here too.
 *
 * @module
 */

import { type ThawPg, withPool } from './default-export.ts'
import { Pool } from './pool.ts'

export type { ThawPg } from './default-export.ts'
export { Pool } from './pool.ts'
export * from './shared.ts'

const thawPg: ThawPg = withPool(Pool)
export default thawPg
