/**
 * Several hosts, each a pooler beside its server, and a primary that becomes a standby.
 *
 * What breaks: nothing that a connection could notice. The pooler keeps its clients, and gives them sessions of a server that refuses writes (25006). With one host
 * plain `pg` goes on refusing on every connection. With Thaw a refused write asks whether that is a standby, every connection is dropped, and the write, or its transaction,
 * is sent again, once, to the host that is the primary now.
 * A pooler repeats at login what its server was when it first saw it, and keeps its clients when that server is gone.
 */

import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { PostgresServer, StandbyServer } from '@thaw/testkit'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'
import { until } from './until.ts'

const setting = useSetting()
let standby: StandbyServer

/** A pooler with a session for each client, which can give all of them sessions of another server. */
interface Switch {
  readonly at: string
  switchTo(server: PostgresServer): Promise<void>
  /** Its server is gone: it lets everyone in, and refuses each statement in PgBouncer's words. */
  loseServer(): void
  close(): void
}

/** A message of the protocol. */
const message = (type: string, body: string) => {
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length + 4)
  return Buffer.concat([Buffer.from(type), length, Buffer.from(body, 'latin1')])
}

/** AuthenticationOk, what it reports of the server, BackendKeyData, ReadyForQuery. */
function welcome(reports: Readonly<Record<string, string>>, pid: string): Buffer {
  const told = Object.entries(reports).map(([name, value]) => message('S', `${name}\0${value}\0`))
  return Buffer.concat([message('R', '\0\0\0\0'), ...told, message('K', `${pid}\0\0\0\x01`), message('Z', 'I')])
}

const MADE_UP = '\x19\x08\x35\x40'
/** As a server's own might look. */
const PLAUSIBLE = '\0\0\x35\x40'
const REFUSAL = message('E', 'SFATAL\0VFATAL\0C08P01\0Mserver login has been failing, try again later (server_login_retry)\0\0')

async function startSwitch(first: PostgresServer, reports: Readonly<Record<string, string>> = {}, pid = MADE_UP): Promise<Switch> {
  let server = first
  let isLost = false
  const sessions = new Map<Socket, Socket>()
  const open = async (user: Socket) => {
    const client = new pg.Client(server.url)
    client.on('error', () => {})
    await client.connect()
    const { stream } = (client as unknown as { readonly connection: { readonly stream: Socket } }).connection
    stream.removeAllListeners('data').on('data', (chunk) => user.write(chunk))
    // A goodbye may come with a statement in front.
    stream.on('close', () => sessions.get(user) !== stream || user.destroy())
    if (user.destroyed) return void stream.destroy()
    const before = sessions.get(user)
    sessions.set(user, stream)
    before?.destroy()
  }
  const gate = createServer((user) => {
    user
      .on('error', () => {})
      .on('close', () => {
        sessions.get(user)?.destroy()
        sessions.delete(user)
      })
    const greet = () => {
      user.on('data', (chunk) => (isLost ? user.end(REFUSAL) : sessions.get(user)?.write(chunk)))
      user.write(welcome(reports, pid))
    }
    // The end of a test ends the sessions that are logging in.
    user.once('data', () => void (isLost ? greet() : open(user).then(greet, () => user.destroy())))
  }).listen(0, '127.0.0.1')
  await once(gate, 'listening')
  return {
    at: `127.0.0.1:${(gate.address() as AddressInfo).port}`,
    async switchTo(next) {
      server = next
      await Promise.all([...sessions.keys()].map(open))
    },
    loseServer() {
      isLost = true
    },
    close() {
      gate.close()
      for (const user of sessions.keys()) user.destroy()
    },
  }
}

let one: Switch
let two: Switch
let more: Switch[] = []

beforeAll(async () => {
  standby = await setting.server.startStandby()
})
beforeEach(async () => {
  ;[one, two] = await Promise.all([startSwitch(setting.server), startSwitch(standby)])
})
afterEach(() => {
  one.close()
  two.close()
  for (const one of more) one.close()
  more = []
})
afterAll(() => standby.close())

/** As many connections as `max`, all at once. */
async function fill(pool: pg.Pool): Promise<void> {
  const clients = await Promise.all([1, 2, 3].map(() => pool.connect()))
  for (const client of clients) client.release()
}

/** A failover, as the pool sees it: the servers keep their roles, and the poolers change sides. */
async function changeSides(): Promise<void> {
  await Promise.all([one.switchTo(standby), two.switchTo(setting.server)])
}

async function changeBack(): Promise<void> {
  await Promise.all([one.switchTo(setting.server), two.switchTo(standby)])
}

const config = (hosts: readonly string[], query = '') => {
  const { user, password, database } = setting.server
  return { connectionString: `postgres://${user}:${password}@${hosts.join(',')}/${database}${query}`, max: 3 }
}

test('read-write: writes that open connections refuse are sent again to the new primary', async () => {
  const [stock, pool] = [setting.plain(config([one.at])), setting.thaw(config([one.at, two.at], '?target_session_attrs=read-write'))]
  await Promise.all([fill(stock), fill(pool)])
  await pool.query(INSERT, ['before'])
  await changeSides()
  for (const _ of [1, 2, 3]) expect(await failure(stock.query(INSERT, ['stock']))).toMatchObject({ code: '25006' })
  await Promise.all([1, 2, 3].map(() => pool.query(INSERT, ['moved'])))
  expect(await setting.rows('moved')).toBe(3)
  expect(pool.stats()).toMatchObject({ generation: 1 })
  await changeBack()
  await pool.query(INSERT, ['back'])
  expect(await setting.rows('back')).toBe(1)
})

test('what pool.transaction() sends is rolled back, and runs again on the new primary', async () => {
  const pool = setting.thaw(config([one.at, two.at], '?target_session_attrs=primary'))
  await fill(pool)
  await changeSides()
  await Promise.all([1, 2, 3].map(() => pool.transaction((client) => client.query(INSERT, ['whole']))))
  expect(await setting.rows('whole')).toBe(3)
  expect(pool.stats()).toMatchObject({ generation: 1 })
})

test('what a client of its own sends fails as PostgreSQL says, and then goes to the new primary', async () => {
  const pool = setting.thaw(config([one.at, two.at], '?target_session_attrs=primary'))
  const write = async () => {
    const client = await pool.connect()
    try {
      return await client.query(INSERT, ['own'])
    } finally {
      client.release()
    }
  }
  await fill(pool)
  await changeSides()
  expect(await failure(write())).toMatchObject({ code: '25006' })
  await until('the server was asked, and every connection is given up', () => pool.stats().generation === 1)
  await Promise.all([1, 2, 3].map(write))
  expect(await setting.rows('own')).toBe(3)
})

test('a caller who is refused on purpose, in a READ ONLY transaction, costs no connection', async () => {
  const pool = setting.thaw(config([one.at, two.at], '?target_session_attrs=primary'))
  for (const _ of [1, 2]) {
    const client = await pool.connect()
    await client.query('BEGIN READ ONLY')
    expect(await failure(client.query(INSERT, ['on-purpose']))).toMatchObject({ code: '25006' })
    await client.query('ROLLBACK')
    client.release()
  }
  await pool.query('SELECT 1')
  expect(pool.stats()).toMatchObject({ generation: 0 })
})

async function reporting(server: PostgresServer, isStandby: boolean, pid: string): Promise<string> {
  const standing = isStandby ? 'on' : 'off'
  const pooler = await startSwitch(server, { in_hot_standby: standing, default_transaction_read_only: 'off' }, pid)
  more.push(pooler)
  return pooler.at
}

test.each(['read-write', 'primary'])('%s: a primary that its pooler reports as a standby is accepted', async (attrs) => {
  for (const pid of [MADE_UP, PLAUSIBLE]) {
    const pool = setting.thaw(config([await reporting(setting.server, true, pid)], `?target_session_attrs=${attrs}`))
    await pool.query(INSERT, [`stale-${attrs}`])
  }
  expect(await setting.rows(`stale-${attrs}`)).toBe(2)
})

test('a standby that its pooler reports as a primary is passed over', async () => {
  const hosts = [await reporting(standby, false, MADE_UP), await reporting(setting.server, true, MADE_UP)]
  const pool = setting.thaw(config(hosts, '?target_session_attrs=primary'))
  await Promise.all([1, 2, 3].map(() => pool.query(INSERT, ['passed-over'])))
  expect(await setting.rows('passed-over')).toBe(3)
  expect(pool.stats()).toMatchObject({ generation: 0 })
})

test('its process ID looks like one: the first write that is refused shows it', async () => {
  const hosts = [await reporting(standby, false, PLAUSIBLE), await reporting(setting.server, true, PLAUSIBLE)]
  const pool = setting.thaw(config(hosts, '?target_session_attrs=primary'))
  for (const _ of [1, 2, 3]) await pool.query(INSERT, ['shown'])
  expect(await setting.rows('shown')).toBe(3)
  expect(pool.stats()).toMatchObject({ generation: 1 })
})

test.each([
  { attrs: 'any', count: 3 },
  { attrs: 'read-write', count: 3 },
  { attrs: 'any', count: 1 },
])(
  '$attrs, $count connections: a pooler whose server is gone is left for the next host, though it lets everyone in',
  async ({ attrs, count }) => {
    const pool = setting.thaw({ ...config([one.at, two.at], `?target_session_attrs=${attrs}`), max: count })
    if (count > 1) await fill(pool)
    else await pool.query('select 1')
    one.loseServer()
    await two.switchTo(setting.server)
    expect(await failure(pool.query(INSERT, ['refused']))).toMatchObject({
      message: expect.stringContaining('server login has been failing'),
    })
    await until('the pool has left it', () =>
      pool.query(INSERT, [`left-${attrs}-${count}`]).then(
        () => true,
        () => false,
      ),
    )
    expect(await setting.rows(`left-${attrs}-${count}`)).toBe(1)
  },
)
