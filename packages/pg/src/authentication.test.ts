/** The ways in which a server may ask who is there, on connections that die in between: each new one has to answer again. */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type FaultProxy, type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import stock from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { clientCertificate, clientCertificateKey } from '../test/client-certificate.ts'
import { Pool } from './index.ts'

const HBA = `
hostssl all scram,nologin 127.0.0.1/32 scram-sha-256
host    all md5       127.0.0.1/32 md5
hostssl all certified 127.0.0.1/32 cert
host    all postgres  127.0.0.1/32 scram-sha-256
`
const PASSWORD = 'only for a test'
let server: PostgresServer
let proxy: FaultProxy
let folder: string

beforeAll(async () => {
  server = await startPostgres({ tls: true })
  const { rows } = await server.query<{ folder: string }>("SELECT current_setting('data_directory') AS folder")
  folder = rows[0]?.folder ?? ''
  // Written into, not replaced: these files belong to the server's user.
  await writeFile(join(folder, 'pg_hba.conf'), HBA)
  await writeFile(join(folder, 'clients.crt'), clientCertificate, { mode: 0o644 })
  await server.query("ALTER SYSTEM SET ssl_ca_file = 'clients.crt'")
  await server.query(`CREATE ROLE scram LOGIN PASSWORD '${PASSWORD}'`)
  await server.query(`SET password_encryption = 'md5'; CREATE ROLE md5 LOGIN PASSWORD '${PASSWORD}'`)
  await server.query('CREATE ROLE certified LOGIN')
  await server.query(`CREATE ROLE nologin PASSWORD '${PASSWORD}'`)
  await server.query('SELECT pg_reload_conf()')
})
afterAll(() => server.close())

beforeEach(async () => {
  proxy = await startFaultProxy(server)
})
afterEach(() => proxy.close())

const address = (user: string): stock.PoolConfig => ({ host: proxy.host, port: proxy.port, user, database: 'postgres', max: 1 })
const ways: readonly [name: string, config: () => stock.PoolConfig][] = [
  ['SCRAM over TLS', () => ({ ...address('scram'), password: PASSWORD, ssl: { ca: String(server.ca) } })],
  ['md5', () => ({ ...address('md5'), password: PASSWORD })],
  ['md5, with a password function', () => ({ ...address('md5'), password: async () => PASSWORD })],
  [
    'a client certificate',
    () => ({ ...address('certified'), ssl: { ca: String(server.ca), cert: clientCertificate, key: clientCertificateKey } }),
  ],
  [
    'sslmode=verify-full',
    () => ({
      connectionString: `postgres://scram:${encodeURIComponent(PASSWORD)}@${proxy.host}:${proxy.port}/postgres?sslmode=verify-full&sslrootcert=${join(folder, 'server.crt')}`,
      max: 1,
    }),
  ],
]

describe.for(ways)('%s', ([, config]) => {
  test('on node-postgres fails on a connection that a NAT has forgotten', async () => {
    const pool = new stock.Pool(config())
    pool.on('error', () => {})
    await pool.query('SELECT 1')
    proxy.cut('rst-on-next-byte')
    await expect(pool.query('SELECT 1')).rejects.toThrow()
    await pool.end()
  })

  test('on Thaw authenticates each new connection', async () => {
    const pool = new Pool({ ...config(), trustMillis: 0 })
    for (const kind of ['fin', 'rst', 'rst-on-next-byte'] as const) {
      expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
      expect(proxy.cut(kind)).toBe(1)
    }
    const { rows } = await pool.query<{ ssl: boolean }>('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
    expect(rows).toEqual([{ ssl: 'ssl' in config() || String(config().connectionString).includes('sslmode') }])
    await pool.end()
  })
})

test.each([
  ['a certificate for another name', () => ({ ca: String(server.ca), servername: 'elsewhere.example' }), 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ['a self-signed certificate', () => ({}), 'DEPTH_ZERO_SELF_SIGNED_CERT'],
] as const)('%s is refused at once, and no retry is made', async (_, ssl, code) => {
  // Longer than a test: a caller whose attempt is retried would not be told in time.
  const pool = new Pool({ ...address('scram'), password: PASSWORD, ssl: ssl(), connectionTimeoutMillis: 600_000 })
  await expect(pool.query('SELECT 1')).rejects.toMatchObject({ code })
  expect(proxy.counters.flowsOpened).toBe(1)
  await pool.end()
})

test('a client without its certificate gets the words of the server', async () => {
  const pool = new Pool({ ...address('certified'), ssl: { ca: String(server.ca) } })
  await expect(pool.query('SELECT 1')).rejects.toMatchObject({
    code: '28000',
    message: expect.stringContaining('valid client certificate'),
  })
  await pool.end()
})

test('a role that may not log in is refused at once, whatever its password function returns', async () => {
  let asked = 0
  const password = async () => {
    asked++
    return PASSWORD
  }
  const pool = new Pool({ ...address('nologin'), password, ssl: { ca: String(server.ca) }, connectionTimeoutMillis: 600_000 })
  await expect(pool.query('SELECT 1')).rejects.toMatchObject({ code: '28000', message: expect.stringContaining('not permitted to log in') })
  expect(asked).toBe(1)
  await pool.end()
})

test('a rotated password fails no call, if it comes from a function', async () => {
  let password = PASSWORD
  const pool = new Pool({ ...address('scram'), max: 5, password: async () => password, ssl: { ca: String(server.ca) }, trustMillis: 0 })
  const burst = () => Promise.all(Array.from({ length: 20 }, () => pool.query('SELECT 1')))
  try {
    await burst()
    await server.query("ALTER ROLE scram PASSWORD 'rotated'")
    password = 'rotated'
    const calls = burst()
    expect(proxy.cut('rst')).toBeGreaterThan(1)
    await Promise.all([calls, burst()])
  } finally {
    await server.query(`ALTER ROLE scram PASSWORD '${PASSWORD}'`)
    await pool.end()
  }
})
