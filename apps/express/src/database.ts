/** One pool for the whole process, made once where the module is loaded. It connects when it is first used. */

import { Pool } from '@thaw/pg'
import { attachPool } from '@thaw/vercel'
import { settings } from './settings.ts'
import { startTelemetry } from './telemetry.ts'

const { DATABASE_URL, DATABASE_CA } = settings

// To node-postgres a `sslmode` in the URL, which providers like to put there, means "forget `ssl`": the certificate would be lost.
const url = new URL(DATABASE_URL)
url.searchParams.delete('sslmode')

/** Always by TLS, and always with the server's certificate verified: by `DATABASE_CA`, or else by the public authorities that Node knows. */
export const pool: Pool = new Pool({ connectionString: url.href, ssl: { ca: DATABASE_CA || undefined }, application_name: 'app-express' })

startTelemetry(pool)

// On Vercel: no session is left behind when the instance is suspended. Elsewhere it does nothing.
attachPool(pool)
