/** What the projects of newcomers are tried on, in one file: the packed packages, a server with the table of the pages, and a proxy in front of it. */

import { type FaultProxy, type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll } from 'vitest'
import { type Packed, packAll } from '../package/packed.ts'

export let server: PostgresServer
export let proxy: FaultProxy
export let packed: Packed

/** An installation and a build, on a machine with much else to do. */
export const PATIENCE_MILLIS = 600_000

/** To be called at the top of a test file, before its own hooks. */
export function useOrdersWorld(): void {
  beforeAll(async () => {
    ;[server, packed] = await Promise.all([startPostgres(), packAll()])
    proxy = await startFaultProxy(server)
    await server.query("CREATE TABLE orders AS SELECT * FROM (VALUES (1, 'ice'), (2, 'water')) AS all_orders (id, item)")
  }, PATIENCE_MILLIS)
  afterAll(async () => {
    await proxy?.close()
    await server?.close()
    await packed?.[Symbol.asyncDispose]()
  })
}
