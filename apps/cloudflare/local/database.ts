/** The database of the app on this machine: a PostgreSQL from npm, where Wrangler looks for Hyperdrive's, and a local Neon in front of it. */

import { readFile } from 'node:fs/promises'
import { type PostgresServer, startNeon } from '@thaw/testkit'

export interface LocalDatabase extends AsyncDisposable {
  readonly server: PostgresServer
  /** For the process that Wrangler runs in. Nothing leaves the machine. */
  readonly env: Readonly<Record<string, string>>
  /** For the Worker. */
  readonly vars: Readonly<Record<string, string>>
}

export async function startDatabase(): Promise<LocalDatabase> {
  const neon = await startNeon()
  const server = neon.postgres
  await server.query(await readFile(new URL('../schema.sql', import.meta.url), 'utf8'))
  const env = {
    CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_HYPERDRIVE: `${server.url}?application_name=app-cloudflare`,
    WRANGLER_SEND_METRICS: 'false',
    CLOUDFLARE_CF_FETCH_ENABLED: 'false',
  }
  return {
    server,
    env,
    vars: { NEON_URL: neon.url, NEON_LOCAL: JSON.stringify(neon.driver) },
    [Symbol.asyncDispose]: () => neon.close(),
  }
}
