/** One PostgreSQL for a test file, and a proxy in front of it for each test. */

import { type FaultProxy, type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'

export let server: PostgresServer
export let proxy: FaultProxy

/** To be called at the top of a test file, before its own hooks: the proxy is closed after what they end. */
export function useFreshProxy(): void {
  beforeAll(async () => {
    server = await startPostgres()
  })
  beforeEach(async () => {
    proxy = await startFaultProxy(server)
  })
  afterEach(() => proxy.close())
  afterAll(() => server.close())
}
