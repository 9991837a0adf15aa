/**
 * A pooler that is full, or cannot reach its server, for a moment.
 *
 * What breaks: the pooler answers a login with an error, in words of its own and under a code that says nothing. With plain `pg` the call fails. With Thaw it
 * is retried, as when PostgreSQL itself has no connection left.
 */

import { once } from 'node:events'
import net from 'node:net'
import { Pool } from '@thaw/pg'
import { type PostgresServer, startPostgres } from '@thaw/testkit'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'

/** This many logins are refused: fewer than fit into the time that a caller waits. */
const REFUSALS = 4

let server: PostgresServer
let pooler: net.Server
let refusing = 0
let logins = 0
let said: readonly [code: string, words: string, severity?: string] = ['', '']
let ready: Buffer = Buffer.alloc(0)

function refusal([code, words, severity = 'FATAL']: typeof said): Buffer {
  const fields = [`S${severity}`, `V${severity}`, `C${code}`, `M${words}`].map((field) => `${field}\0`)
  const body = Buffer.from(`${fields.join('')}\0`)
  const head = Buffer.alloc(5)
  head.write('E')
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

beforeAll(async () => {
  server = await startPostgres()
  pooler = net.createServer((socket) => {
    socket.on('error', () => {})
    logins++
    if (refusing > 0) {
      socket.once('data', () => {
        refusing--
        socket.end(Buffer.concat([refusal(said), ready]))
      })
      return
    }
    const upstream = net.connect(server.port, server.host)
    upstream.on('error', () => socket.destroy())
    socket.on('close', () => upstream.destroy())
    socket.pipe(upstream).pipe(socket)
  })
  pooler.listen(0, '127.0.0.1')
  await once(pooler, 'listening')
})
afterAll(async () => {
  pooler.close()
  await server.close()
})

async function query(Class: new (config: pg.PoolConfig) => pg.Pool): Promise<string> {
  const { port } = pooler.address() as net.AddressInfo
  const { user, password, database } = server
  const pool = new Class({ host: '127.0.0.1', port, user, password, database, max: 1 })
  pool.on('error', () => {})
  const end = await pool.query('select').then(
    () => 'ok',
    (error: Error & { code?: string }) => error.code ?? error.message,
  )
  await pool.end()
  return end
}

test.each([
  ['PostgreSQL', '53300', 'sorry, too many clients already'],
  ['Supavisor', 'XX000', '(EMAXCONNSESSION) max clients reached in session mode - max clients are limited to pool_size: 15'],
  ['Supavisor', 'XX000', '(EMAXCONN) max client connections reached, limit: 200'],
  ['Supavisor', 'XX000', 'MaxClientsInSessionMode: max clients reached - in Session mode max clients are limited to pool_size'],
  ['Supavisor', 'XX000', 'Max client connections reached'],
  ['Supavisor', 'XX000', '(ECHECKOUTTIMEOUT) unable to check out connection from the pool after 5000ms in Transaction mode'],
  ['Supavisor', 'XX000', '(ECHECKOUTRETRIES) failed to check out a connection after multiple retries'],
  ['Supavisor', 'XX000', '(EDBHANDLEREXITED) connection to database closed. Check logs for more information'],
  ['PgBouncer', '08P01', 'no more connections allowed (max_client_conn)'],
  ['PgBouncer', '08P01', 'client connections exceeded (max_db_client_connections)'],
  ['PgBouncer', '08P01', 'server login has been failing, cached error: connect failed (server_login_retry)'],
  ['PgBouncer', '08P01', 'server login has been failing, try again later (server_login_retry)'],
  ['PgBouncer', '08P01', 'pgbouncer cannot connect to server', 'ERROR'],
  ['Supavisor', 'XX000', 'DbHandler exited'],
  ['Supavisor', 'XX000', '(EMAXPOOLSREACHED) max pools count reached'],
  ['Supavisor', 'XX000', '(EPOOLCHECKOUT) pool checkout failed: {:noproc, nil}'],
  ['Supavisor', 'XX000', '(EPOOLTERMINATING) pool terminating: pool is terminating'],
  ['Supavisor', 'XX000', '(EPROXYSTARTFAILED) failed to start proxy connection'],
  ['Supavisor', 'XX000', '(EPROXYSUPERVISORUNAVAILABLE) proxy supervisor unavailable after retries'],
  ['Supavisor', 'XX000', '(ESUBSCRIBERETRIES) failed to subscribe to tenant after multiple retries. Terminating'],
  ['Supavisor', 'XX000', '(EWORKERNOTFOUND) worker processes (manager/pool) not found for tenant "x"'],
  ['Supavisor', 'XX000', '(EAUTHQUERY) auth_query connection failed: timeout'],
  ['Supavisor', 'XX000', '(EAUTHQUERY) auth_query secret check timed out'],
  ['Supavisor', 'XX000', '(EAUTHQUERY) authentication query failed: connection to database not available'],
  ['Supavisor', 'XX000', '(EAUTHQUERY) authentication query failed: sorry, too many clients already'],
  ['Supavisor', '08006', '(EAUTHTIMEOUT) timeout while waiting for message'],
  ['Supavisor', 'XX000', '(ECIRCUITBREAKER) too many failed attempts to connect to the database, new connections are temporarily blocked'],
  // The server's own refusals come with their codes.
  ['Supavisor', '53300', 'sorry, too many clients already'],
  ['Supavisor', '57P03', 'the database system is starting up'],
  ['Neon', 'XX000', 'Control plane request failed'],
  ['Neon', 'XX000', 'Too many connections to this endpoint. Please try again later.'],
  ['Neon', 'XX000', 'Too many connections attempts'],
  ['Neon', 'XX000', 'Failed to acquire permit to connect to the database. Too many database connection attempts are currently ongoing.'],
  ['Neon', 'XX000', "Couldn't connect to compute node"],
  // And the compute's own, without their codes.
  ['Neon', 'XX000', 'sorry, too many clients already'],
  ['Neon', 'XX000', 'remaining connection slots are reserved for roles with the SUPERUSER attribute'],
  ['Neon', 'XX000', 'remaining connection slots are reserved for non-replication superuser connections'],
  ['Neon', 'XX000', 'too many connections for role "app"'],
  ['Neon', 'XX000', 'too many connections for database "neondb"'],
  ['Neon', 'XX000', 'the database system is starting up'],
  ['Neon', 'XX000', 'the database system is shutting down'],
  ['Neon', 'XX000', 'the database system is in recovery mode'],
  ['Neon', 'XX000', 'the database system is not yet accepting connections'],
  ['pgcat', '58000', 'Pool down for database: "app", user: "app"'],
  ['pgcat', '58000', 'terminating connection due to administrator command'],
  // AWS lists the words, and no codes: whatever it is, it may pass.
  ['RDS Proxy', '08000', 'Timed-out waiting to acquire database connection'],
  ['RDS Proxy', '53400', 'The maximum number of client connections to the proxy exceeded 420.'],
  ['RDS Proxy', '53400', 'Rate of connection to proxy exceeded 10.'],
  ['RDS Proxy', '28000', 'The IAM authentication failed because of too many competing requests.'],
] as [string, ...typeof said][])('%s lets no client in for a moment: %s %s', async (_who, ...words) => {
  said = words
  refusing = 1
  expect(await query(pg.Pool)).toBe(words[0])
  refusing = REFUSALS
  expect(await query(Pool)).toBe('ok')
  expect(refusing).toBe(0)
})

test.each([
  ['53300', 'sorry, too many clients already'],
  ['57P03', 'the database system is starting up'],
  ['XX000', '(EMAXCONN) max client connections reached, limit: 200'],
  ['XX000', 'Too many connections to this endpoint. Please try again later.'],
] as const)('who came first is served first, and there is one attempt at a time: %s %s', async (code, words) => {
  said = [code, words]
  refusing = REFUSALS
  logins = 0
  const { port } = pooler.address() as net.AddressInfo
  const { user, password, database } = server
  const pool = new Pool({ host: '127.0.0.1', port, user, password, database, max: 1 })
  const callers = [0, 1, 2, 3, 4]
  const served: number[] = []
  await Promise.all(
    callers.map(async (caller) => {
      const client = await pool.connect()
      served.push(caller)
      client.release()
    }),
  )
  await pool.end()
  expect(served).toEqual(callers)
  expect(logins).toBe(REFUSALS + 1)
})

test("the compute's own words make a fleet wait for its turn, as 53300 does: the pauses are long from the start", async () => {
  said = ['XX000', 'sorry, too many clients already']
  refusing = REFUSALS
  const { port } = pooler.address() as net.AddressInfo
  const { user, password, database } = server
  const pool = new Pool({ host: '127.0.0.1', port, user, password, database, max: 1, fleet: 'orders', connectionTimeoutMillis: 60_000 })
  let paused = 0
  pool.subscribe((event) => {
    if (event.type === 'retried') paused += event.delayMillis
  })
  await pool.query('select 1')
  await pool.end()
  // Without that: at most 10, 20, 40 and 80. With it, less than that in one run of thirty thousand.
  expect(paused).toBeGreaterThan(150)
})

test('pgcat says that it is ready, behind the refusal: no caller gets the connection', async () => {
  said = ['58000', 'Pool down for database: "app", user: "app"']
  ready = Buffer.from('Z\0\0\0\x05I', 'latin1')
  refusing = REFUSALS
  expect(await query(Pool)).toBe('ok')
  expect(refusing).toBe(0)
  ready = Buffer.alloc(0)
})

test.each([
  ['XX000', 'Tenant or user not found'],
  ['XX000', 'Control plane request failed: endpoint is disabled'],
  ['XX000', 'Control plane request failed: endpoint is temporarily unavailable. Check your quotas and/or contact our support.'],
  ['XX000', '(ECIRCUITBREAKER) too many authentication failures, new connections are temporarily blocked'],
  ['XX000', '(EAUTHQUERY) user not found in the database'],
  ['08P01', 'server login has been failing, cached error: password authentication failed for user "x" (server_login_retry)'],
  ['08P01', 'unsupported startup parameter: search_path'],
  ['58000', 'No pool configured for database: "app", user: "app"'],
  ['28000', 'The IAM authentication failed for the role app. Check the IAM token for this role and try again.'],
])('what waiting does not mend fails at once: %s %s', async (...words) => {
  said = words
  refusing = REFUSALS
  expect(await query(Pool)).toBe(words[0])
  expect(refusing).toBe(REFUSALS - 1)
  refusing = 0
})
