/** One pool for the whole process, made once where the module is loaded. It connects when it is first used. */

import { registerShutdown } from '@thaw/lambda'
import { Pool } from '@thaw/pg'

export const pool: Pool = new Pool({ connectionString: process.env.DATABASE_URL, application_name: 'app-lambda' })

// Connections are closed when Lambda ends the process. Add { beforeFreeze: true } to close them after each answer.
registerShutdown(pool)
