/**
 * Several hosts, each a pooler beside its server, and a primary that becomes a standby.
 *
 * What breaks: nothing that a connection could notice. The pooler keeps its clients, and gives them sessions of a server that refuses writes (25006). With one host
 * plain `pg` goes on refusing on every connection. With Thaw a refused write asks whether that is a standby, every connection is dropped, and the write, or its transaction,
 * is sent again, once, to the host that is the primary now.
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
  close(): void
}

/** AuthenticationOk, a made-up BackendKeyData, ReadyForQuery. It reports nothing of the server. */
const WELCOME = Buffer.from('R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\x19\x08\x35\x40\0\0\0\x01Z\0\0\0\x05I', 'latin1')

async function startSwitch(first: PostgresServer): Promise<Switch> {
  let server = first
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
      user.on('data', (chunk) => sessions.get(user)?.write(chunk))
      user.write(WELCOME)
    }
    // The end of a test ends the sessions that are logging in.
    user.once('data', () => void open(user).then(greet, () => user.destroy()))
  }).listen(0, '127.0.0.1')
  await once(gate, 'listening')
  return {
    at: `127.0.0.1:${(gate.address() as AddressInfo).port}`,
    async switchTo(next) {
      server = next
      await Promise.all([...sessions.keys()].map(open))
    },
    close() {
      gate.close()
      for (const user of sessions.keys()) user.destroy()
    },
  }
}

let one: Switch
let two: Switch

beforeAll(async () => {
  standby = await setting.server.startStandby()
})
beforeEach(async () => {
  ;[one, two] = await Promise.all([startSwitch(setting.server), startSwitch(standby)])
})
afterEach(() => {
  one.close()
  two.close()
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
