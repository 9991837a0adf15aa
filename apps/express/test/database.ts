/** A PostgreSQL with TLS and the app's tables, and a proxy in front of it for each app. */

import { readFile } from 'node:fs/promises'
import { type FaultProxy, type PostgresServer, startPostgres } from '@thaw/testkit'
import type { Environment } from './running-app.ts'

/** The app's sessions at the server. */
export const NAME = 'app-express'
export const JWT_SECRET = 'only for tests: 0123456789abcdef'

export async function startDatabase(): Promise<PostgresServer> {
  const server = await startPostgres({ tls: true })
  await server.query(await readFile(new URL('../schema.sql', import.meta.url), 'utf8'))
  return server
}

/** What Aiven would show: a URL that asks for TLS, and the certificate of an unknown authority. Through a proxy, or straight to the server. */
export function environmentOf(server: PostgresServer, through: FaultProxy | PostgresServer): Environment {
  const url = new URL(server.url)
  url.port = String(through.port)
  url.searchParams.set('sslmode', 'require')
  return { DATABASE_URL: url.href, DATABASE_CA: server.ca ?? '', JWT_SECRET }
}
