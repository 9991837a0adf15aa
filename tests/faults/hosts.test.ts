/**
 * Several hosts, as libpq takes them.
 *
 * What breaks: one of the servers, or its role. Plain `pg` refuses such a connection string, and looks a list of hosts up as one name. Thaw goes on to the
 * next host at once, takes only sessions of the wanted kind, and finds the new primary after a promotion.
 */

import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { OptionError } from '@thaw/core'
import { Pool as NeonPool } from '@thaw/neon'
import { Client, Pool, type PoolConfig } from '@thaw/pg'
import { type PostgresServer, type StandbyServer, waitForSessions } from '@thaw/testkit'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'
import { until } from './until.ts'

const setting = useSetting()
let standby: StandbyServer

const WHO = 'SELECT inet_server_port() AS port'
/** Nothing listens there. */
const DOWN = '127.0.0.1:1'

beforeAll(async () => {
  standby = await setting.server.startStandby()
})
afterAll(() => standby.close())

const at = ({ host, port }: PostgresServer) => `${host}:${port}`

function url(hosts: readonly string[], query = ''): string {
  const { user, password, database } = setting.server
  return `postgres://${user}:${password}@${hosts.join(',')}/${database}${query}`
}

function over(servers: readonly (PostgresServer | string)[], attrs = 'any', config: PoolConfig = {}): Pool {
  const hosts = servers.map((server) => (typeof server === 'string' ? server : at(server)))
  return setting.thaw({ connectionString: url(hosts, `?target_session_attrs=${attrs}`), max: 3, ...config })
}

async function portOf(pool: pg.Pool): Promise<number> {
  return (await pool.query<{ port: number }>(WHO)).rows[0]?.port ?? 0
}

test('plain pg refuses it', async () => {
  const stock = async (config: pg.PoolConfig) => setting.plain(config).query('SELECT 1')
  expect(await failure(stock({ connectionString: url([DOWN, at(setting.server)]) }))).toMatchObject({ code: 'ERR_INVALID_URL' })
})

test('a host that is down costs nothing: the next one is tried at once, and no second look at the first', async () => {
  const pool = over([DOWN, setting.server])
  const ports = await Promise.all([1, 2, 3].map(() => portOf(pool)))
  expect(ports).toEqual(Array(3).fill(setting.server.port))
  expect(setting.events.filter(({ type }) => type === 'retried').every((event) => 'delayMillis' in event && event.delayMillis === 0)).toBe(
    true,
  )
})

test.each([
  ['is hedged', {}],
  ['is given up after its share of the time', { hedge: false, connectionTimeoutMillis: 3000 }],
])('a host that accepts the connection and says nothing %s', async (_what, config) => {
  const silent = createServer().listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const sockets: Socket[] = []
  silent.on('connection', (socket) => sockets.push(socket.on('error', () => {})))
  try {
    expect(await portOf(over([`127.0.0.1:${(silent.address() as AddressInfo).port}`, setting.server], 'any', config))).toBe(
      setting.server.port,
    )
  } finally {
    silent.close()
    for (const socket of sockets) socket.destroy()
  }
})

test.each([
  ['read-write', 'primary'],
  ['primary', 'primary'],
  ['read-only', 'standby'],
  ['standby', 'standby'],
  ['prefer-standby', 'standby'],
])('%s leads to the %s, wherever it stands', async (attrs, role) => {
  const wanted = role === 'primary' ? setting.server : standby
  for (const order of [
    [setting.server, standby],
    [standby, setting.server],
  ]) {
    expect(await portOf(over(order, attrs))).toBe(wanted.port)
  }
})

test('prefer-standby takes the primary if there is no standby', async () => {
  expect(await portOf(over([DOWN, setting.server], 'prefer-standby'))).toBe(setting.server.port)
})

/** As a server before PostgreSQL 14, or a pooler, which do not report it at login. */
class Uninformed extends pg.Client {
  constructor(config?: pg.ClientConfig) {
    super(config)
    const { connection } = this as unknown as { connection: { emit(name: string, ...values: unknown[]): boolean } }
    const emit = connection.emit.bind(connection)
    connection.emit = (name, ...values) => name !== 'parameterStatus' && emit(name, ...values)
  }
}

test.each(['read-write', 'primary', 'read-only', 'standby'])('%s of a server that does not report it: it is asked', async (attrs) => {
  const wanted = attrs.startsWith('read-w') || attrs === 'primary' ? setting.server : standby
  const config = { Client: Uninformed } as PoolConfig
  expect(await portOf(over([setting.server, standby], attrs, config))).toBe(wanted.port)
  expect(await portOf(over([standby, setting.server], attrs, config))).toBe(wanted.port)
})

test('a random order reaches both', async () => {
  const pool = over([setting.server, standby], 'any&load_balance_hosts=random', { max: 1, maxUses: 1 })
  const seen = new Set<number>()
  while (seen.size < 2) seen.add(await portOf(pool))
  expect(seen).toEqual(new Set([setting.server.port, standby.port]))
})

test('hosts in the query of a connection string, as libpq takes them', async () => {
  const { host, port, user, password, database } = setting.server
  const query = `?host=${host},${host}&port=1,${port}&target_session_attrs=read-write`
  expect(await portOf(setting.thaw({ connectionString: `postgres://${user}:${password}@/${database}${query}` }))).toBe(port)
})

describe('from the environment, as libpq reads it', () => {
  afterEach(() => vi.unstubAllEnvs())

  const stub = (env: Readonly<Record<string, string>>) => {
    const { user, password, database } = setting.server
    const login = { PGUSER: user, PGPASSWORD: password, PGDATABASE: database }
    for (const [name, value] of Object.entries({ ...login, ...env })) vi.stubEnv(name, value)
  }
  const both = () => ({ PGHOST: `${setting.server.host},${standby.host}`, PGPORT: `${setting.server.port},${standby.port}` })

  test('PGHOST, PGPORT and PGTARGETSESSIONATTRS: plain pg looks the list up as one name', async () => {
    stub({ ...both(), PGTARGETSESSIONATTRS: 'standby' })
    expect(await failure(setting.plain({ connectionString: undefined }).query('SELECT 1'))).toMatchObject({ syscall: 'getaddrinfo' })
    expect(await portOf(setting.thaw({ connectionString: undefined }))).toBe(standby.port)
    expect(await portOf(setting.thaw({ connectionString: 'postgres:///' }))).toBe(standby.port)
    const client = new Client()
    await client.connect()
    expect((await client.query(WHO)).rows).toEqual([{ port: standby.port }])
    await client.end()
  })

  test('PGTARGETSESSIONATTRS of one PGHOST', async () => {
    stub({ PGHOST: standby.host, PGPORT: String(standby.port), PGTARGETSESSIONATTRS: 'read-write' })
    const pool = setting.thaw({ connectionString: undefined, connectionTimeoutMillis: 300 })
    expect(await failure(pool.query('SELECT 1'))).toMatchObject({ name: 'AcquireTimeoutError' })
  })

  test('none of it where the code names the host', async () => {
    stub({ ...both(), PGTARGETSESSIONATTRS: 'standby' })
    expect(await portOf(setting.thaw({ connectionString: setting.server.url }))).toBe(setting.server.port)
    const { host, port } = setting.server
    expect(await portOf(setting.thaw({ connectionString: undefined, host, port }))).toBe(port)
  })

  test('a misspelt kind is refused', () => {
    stub({ ...both(), PGTARGETSESSIONATTRS: 'readwrite' })
    expect(() => new Pool()).toThrow(/target_session_attrs is "readwrite"/)
  })
})

describe('a Client alone', () => {
  const connected: pg.Client[] = []
  afterEach(() => Promise.all(connected.splice(0).map((client) => client.end())))

  const alone = (servers: readonly (PostgresServer | string)[], attrs: string, config: pg.ClientConfig = {}) => {
    const hosts = servers.map((server) => (typeof server === 'string' ? server : at(server)))
    return new Client({ connectionString: url(hosts, `?target_session_attrs=${attrs}`), ...config })
  }
  const whereIs = async (client: pg.Client) => (await client.query<{ port: number }>(WHO)).rows[0]?.port

  test.each(['any', 'read-write', 'standby', 'prefer-standby'])('%s leads to the right one, past a host that is down', async (attrs) => {
    const wanted = attrs.includes('standby') ? standby : setting.server
    const client = alone([DOWN, wanted, attrs === 'any' ? standby : wanted === standby ? setting.server : standby], attrs)
    connected.push(client)
    expect(await client.connect()).toBe(client)
    expect(await whereIs(client)).toBe(wanted.port)
    expect([client.host, client.port]).toEqual([wanted.host, wanted.port])
  })

  test('tells a callback, too', async () => {
    const client = alone([DOWN, setting.server], 'primary')
    connected.push(client)
    await new Promise<void>((resolve, reject) => client.connect((error: Error | null) => (error ? reject(error) : resolve())))
    expect(await whereIs(client)).toBe(setting.server.port)
  })

  test('no host has such a session, one or several: the error says so, and no session is left', async () => {
    const application_name = 'hosts-alone'
    for (const servers of [[setting.server], [setting.server, setting.server]]) {
      const client = alone(servers, 'standby', { application_name })
      expect(await failure(client.connect())).toMatchObject({
        message: 'the session is not on a standby (target_session_attrs=standby)',
      })
    }
    await waitForSessions(setting.server, application_name, 0)
  })

  test('all hosts are down: the last one says so', async () => {
    expect(await failure(alone([DOWN, DOWN], 'any').connect())).toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('a refused password ends the search', async () => {
    const asked: unknown[] = []
    const password = (parameters?: { port: number }) => {
      asked.push(parameters?.port)
      return 'wrong'
    }
    const { host, port, user } = setting.server
    const config = { host: `${host},${host}`, port: `${port},${standby.port}`, user, password }
    expect(await failure(new Client(config as unknown as pg.ClientConfig).connect())).toMatchObject({ code: '28P01' })
    expect(asked).toEqual([port])
  })

  test('as the Client of a pool with several hosts, it takes the one that the pool has chosen', async () => {
    expect(await portOf(over([DOWN, setting.server, standby], 'standby', { Client } as PoolConfig))).toBe(standby.port)
  })

  test('ended while it looks, it connects to none', async () => {
    const client = alone([DOWN, setting.server], 'any', { application_name: 'hosts-ended' })
    const connecting = failure(client.connect())
    await client.end()
    expect(await connecting).toMatchObject({ message: 'Connection terminated' })
    await waitForSessions(setting.server, 'hosts-ended', 0)
  })
})

test('over Neon several hosts are refused', () => {
  expect(() => new NeonPool({ host: 'a,b' })).toThrow(/Several hosts are supported by @thaw\/pg in a process only/)
})

test('no host has such a session: the error says so', async () => {
  // Long enough for one attempt on a busy machine.
  const pool = over([setting.server], 'standby', { connectionTimeoutMillis: 1500 })
  expect(await failure(pool.query('SELECT 1'))).toMatchObject({
    name: 'AcquireTimeoutError',
    cause: { message: 'the session is not on a standby (target_session_attrs=standby)' },
  })
})

test('hosts and ports as options, and the password asked for each host', async () => {
  const { host, port, user, password, database } = setting.server
  const asked: unknown[] = []
  const ask = (parameters?: { host: string; port: number }) => {
    asked.push(parameters?.port)
    return password
  }
  const config = {
    host: `${host},${host}`,
    port: `${standby.port},${port}`,
    user,
    database,
    target_session_attrs: 'primary',
    password: ask,
  }
  const pool = setting.thaw({ ...config, connectionString: undefined } as unknown as PoolConfig)
  expect(await portOf(pool)).toBe(port)
  expect(new Set(asked)).toEqual(new Set([standby.port, port]))
})

test.each<[string, object, RegExp]>([
  ['a misspelt kind', { host: 'a,b', target_session_attrs: 'readwrite' }, /target_session_attrs is "readwrite"/],
  ['a misspelt balance', { host: 'a,b', load_balance_hosts: 'yes' }, /load_balance_hosts is "yes"/],
  ['too few ports', { host: 'a,b,c', port: '1,2' }, /3 hosts and 2 ports/],
  ['an empty host', { host: 'a,,c' }, /Host 2 of 3 is empty/],
  ['no port', { connectionString: 'postgres://a:x,b:2/app' }, /"x" is no port/],
  ['a fleet', { host: 'a,b', fleet: 'app' }, /fleet/],
])('%s is refused', (_what, config, message) => {
  const make = () => new Pool(config as PoolConfig)
  expect(make).toThrow(OptionError)
  expect(make).toThrow(message)
})

test('a promotion under open connections: each write is told the truth, and goes on at the new primary', async () => {
  const pool = over([setting.server, standby], 'read-write')
  await Promise.all([1, 2, 3].map((index) => pool.query(INSERT, [`before-${index}`])))
  await standby.catchUp()
  await setting.server.stop('immediate')
  // A write on a connection whose end has not arrived is lost, and said to be unknown.
  await until('the pool has noticed', () => pool.totalCount === 0)
  try {
    const waiting = pool.query(INSERT, ['meanwhile'])
    await standby.promote()
    await waiting
    await Promise.all([1, 2, 3].map((index) => pool.query(INSERT, [`after-${index}`])))
    expect(await portOf(pool)).toBe(standby.port)
    const { rows } = await standby.query<{ token: string }>('SELECT token FROM ledger ORDER BY token')
    expect(rows.map(({ token }) => token)).toEqual(['after-1', 'after-2', 'after-3', 'before-1', 'before-2', 'before-3', 'meanwhile'])
  } finally {
    await setting.server.start()
  }
})
