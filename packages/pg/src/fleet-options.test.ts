/** The option `fleet` and what may not stand beside it. */

import pg from 'pg'
import { expect, test } from 'vitest'
import { Pool, type PoolConfig } from './index.ts'

test.each([
  [{ fleet: 'my orders' }, /"fleet.name" is a string of 9 characters, but must be a name of letters/],
  [{ fleet: 'x'.repeat(50), application_name: 'a shop' }, /too long for PostgreSQL by 1 byte/],
  [{ fleet: 'x'.repeat(50), connectionString: 'postgres://h/d?application_name=a+shop' }, /too long for PostgreSQL by 1 byte/],
  [{ fleet: 'orders', trustMillis: 2000 }, /"trustMillis" is 2000, but may be at most 500 with "fleet"/],
  [{ fleet: 'orders', connectionString: 'postgres://u@ep-x-pooler.aws.neon.tech/d' }, /is Neon's pooler. Leave the option out/],
  [{ fleet: 'orders', Client: () => new pg.Client() }, /"fleet" needs the class of its clients, and "Client" is a function/],
  // libpq's form without a host, an empty one, and what only pg can read: as the connection reads them.
  [{ fleet: 'orders', connectionString: 'postgres://u:p@/d?host=ep-a-pooler.c.neon.tech' }, /ep-a-pooler.c.neon.tech is Neon's pooler/],
  [{ fleet: 'orders', connectionString: 'postgres://u:p w@aws-0.pooler.supabase.com/d' }, /aws-0.pooler.supabase.com is Supavisor/],
  [{ fleet: 'orders', connectionString: 'postgres://u:p%@aws-0.pooler.supabase.com/d' }, /aws-0.pooler.supabase.com is Supavisor/],
  [{ fleet: 'x'.repeat(50), connectionString: 'postgres://u:p@/d?application_name=a+shop' }, /too long for PostgreSQL by 1 byte/],
  [{ fleet: 'x'.repeat(50), connectionString: '/var/run d', application_name: 'a shop' }, /too long for PostgreSQL by 1 byte/],
  [{ connectionString: 'postgres://u:p@/d?host=h&fleet=orders' }, /"fleet" is in the connection string, where it has no effect/],
  [{ fleet: 'orders', pipeline: true }, /"fleet" and "pipeline" cannot be combined.*Omit "pipeline": reads share connections without it/],
  [{ fleet: { name: 'orders', sessions: 0 } }, /"fleet.sessions" is 0, but must be a whole number, from 1/],
] as [object, RegExp][])('is refused when the pool is made: %o', (config, message) => {
  expect(() => new Pool(config as PoolConfig)).toThrow(message)
})

test.each([
  [{ connectionString: 'postgres://u:p@/d?host=h' }],
  [{ connectionString: 'postgres://u:p@/d' }],
  [{ connectionString: '/var/run d' }],
  [{ pipeline: false }],
] as [object][])('is taken with %o', async (config) => {
  const pool = new Pool({ fleet: 'orders', ...config })
  await pool.end()
})

test('a class of clients that are in pipeline mode is refused with its first client', async () => {
  class Piped extends pg.Client {
    constructor(config: object) {
      super({ ...config, pipeline: true } as object)
    }
  }
  const pool = new Pool({ fleet: 'orders', Client: Piped, connectionTimeoutMillis: 2000 } as unknown as PoolConfig)
  await expect(pool.query('select 1')).rejects.toThrow(/"fleet" and "pipeline" cannot be combined/)
  await pool.end()
})
