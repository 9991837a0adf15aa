/**
 * A `query` of the user's own, which sends something in front of some statements: the tenant, when it changes. With plain pg each statement runs under its own tenant,
 * because a connection has one statement at a time. Here reads may share a connection, and must not where another's code is in between.
 */

import { AsyncLocalStorage } from 'node:async_hooks'
import stock from 'pg'
import { expect, test } from 'vitest'
import { server, useOneServer } from '../test/one-server.ts'
import { Client, Pool } from './index.ts'

useOneServer()

type Method = (...values: unknown[]) => unknown

const tenants = new AsyncLocalStorage<string>()

/** What the user's `query` does, whatever it is a method of. */
function byTenant(inner: Method): (self: object, values: unknown[]) => unknown {
  let current: string | undefined
  return (self, values) => {
    const tenant = tenants.getStore()
    if (tenant !== current) inner.call(self, `select set_config('my.tenant', '${tenant}', false)`, () => {})
    current = tenant
    return inner.apply(self, values)
  }
}

function classOver(Base: typeof stock.Client): typeof stock.Client {
  return class TenantClient extends Base {
    readonly #query = byTenant(super.query as unknown as Method)

    override query(...values: unknown[]): never {
      return this.#query(this, values) as never
    }
  }
}

test.each<[string, { Client?: typeof stock.Client; isOnClient?: boolean }]>([
  ["a class that extends pg's", { Client: classOver(stock.Client) }],
  ['a class that extends ours', { Client: classOver(Client as unknown as typeof stock.Client) }],
  ['a method that is put on each client', { isOnClient: true }],
])('%s: each row is read under the tenant of its caller', async (_name, { isOnClient, ...options }) => {
  const pool = new Pool({ connectionString: server.url, max: 1, share: true, ...(options as object) })
  if (isOnClient)
    pool.on('connect', (client) => {
      const query = byTenant(client.query as unknown as Method)
      client.query = ((...values: unknown[]) => query(client, values)) as never
    })
  const ask = (tenant: string) =>
    tenants.run(tenant, async () => (await pool.query("select current_setting('my.tenant', true) as tenant")).rows[0].tenant)
  const callers = ['ann', 'ann', 'bob', 'bob', 'carol', 'ann', 'ann']
  await ask('ann')
  for (let round = 0; round < 3; round++) expect(await Promise.all(callers.map(ask))).toEqual(callers)
  await pool.end()
})
