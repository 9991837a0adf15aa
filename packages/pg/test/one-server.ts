/** One PostgreSQL for a test file, and one proxy in front of it. */

import { type FaultProxy, type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll } from 'vitest'

export let server: PostgresServer
export let proxy: FaultProxy

/** To be called at the top of a test file. */
export function useOneServer(): void {
  beforeAll(async () => {
    server = await startPostgres()
    proxy = await startFaultProxy(server)
  })
  afterAll(async () => {
    await proxy.close()
    await server.close()
  })
}
