/** One PostgreSQL for a test file, and in front of it one proxy, or a new one for each test. */

import { type FaultProxy, type FaultProxyOptions, type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'

export let server: PostgresServer
export let proxy: FaultProxy

/** To be called at the top of a test file, before its own hooks: what they end is ended first. */
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

/** The same, with a new proxy for each test. */
export function useFreshProxy(options: FaultProxyOptions = {}): void {
  beforeAll(async () => {
    server = await startPostgres()
  })
  beforeEach(async () => {
    proxy = await startFaultProxy(server, options)
  })
  afterEach(() => proxy.close())
  afterAll(() => server.close())
}
