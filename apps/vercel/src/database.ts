/** One pool for the whole process, and Drizzle on it, both at module level. It connects when it is first used. */

import { onePool } from '@thaw/next'
import { observe } from '@thaw/otel'
import { Pool } from '@thaw/pg'
import { attachPool } from '@thaw/vercel'
import { drizzle } from 'drizzle-orm/node-postgres'

export const pool: Pool = onePool(Pool, { connectionString: process.env.DATABASE_URL, application_name: 'app-vercel', max: 5 })

// Metrics, and events on the spans of requests: see telemetry.ts.
if (process.env.OTEL_EXPORTER_OTLP_ENDPOINT) observe(pool)

// Before Vercel suspends the instance, idle connections are closed. Elsewhere this does nothing.
attachPool(pool)

export const db = drizzle(pool)
