/** The app on this machine, with a PostgreSQL from npm that speaks TLS. Ctrl-C ends both: the database lives no longer than this process. */

import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { startPostgres } from '@thaw/testkit'

const server = await startPostgres({ tls: true })
await server.query(await readFile(new URL('../schema.sql', import.meta.url), 'utf8'))
console.log(`PostgreSQL: ${server.url}`)

Object.assign(process.env, { DATABASE_URL: server.url, DATABASE_CA: server.ca, JWT_SECRET: randomBytes(32).toString('base64url') })
await import('./server.ts')
