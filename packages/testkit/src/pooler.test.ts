import type { Socket } from 'node:net'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startPooler } from './pooler.ts'
import { type PostgresServer, startPostgres } from './postgres.ts'

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.close())

const streamOf = (client: pg.Client) => (client as unknown as { readonly connection: { readonly stream: Socket } }).connection.stream
const SYNC = Buffer.from('S\0\0\0\x04')

async function through(pooler: { urlFor(url: string): string }): Promise<pg.Client> {
  const client = new pg.Client(pooler.urlFor(server.url))
  client.on('error', () => {})
  await client.connect()
  return client
}

test('plain pg works through it, and is given a pid that no backend has', async () => {
  await using pooler = await startPooler(server)
  const client = await through(pooler)
  const { rows } = await client.query('select $1::int as n, pg_backend_pid() as pid', [7])
  expect(rows[0].n).toBe(7)
  expect((client as unknown as { processID: number }).processID).not.toBe(rows[0].pid)
  await client.query('begin')
  await client.query('select 1')
  await client.query('rollback')
  await expect(client.query('select nonsense')).rejects.toMatchObject({ code: '42703' })
  await client.end()
  expect(pooler.sessionsOpened).toBe(1)
})

test('one session serves transactions in the order of asking', async () => {
  await using pooler = await startPooler(server)
  const [one, other] = [await through(pooler), await through(pooler)]
  await one.query('begin')
  const ends: string[] = []
  const waits = other.query('select 1').then(() => ends.push('other'))
  await one.query('select 1').then(() => ends.push('one'))
  await one.query('commit').then(() => ends.push('commit'))
  await waits
  expect(ends).toEqual(['one', 'commit', 'other'])
  await Promise.all([one.end(), other.end()])
})

test('what is behind a Sync in one chunk is dropped; a Sync alone is answered', async () => {
  await using pooler = await startPooler(server)
  const client = await through(pooler)
  const stream = streamOf(client)
  const ready = new Promise((resolve) => client.once('drain', resolve))
  stream.cork()
  stream.write(SYNC)
  const lost = client.query('select 1').then(
    () => 'answered',
    () => 'lost',
  )
  stream.uncork()
  await ready.then(() => stream.destroy())
  expect(pooler.bytesDropped).toBeGreaterThan(0)
  // pg takes the answer to the Sync for the answer to the statement: no row, no error.
  expect(await lost).toBe('answered')
})

test('a client that leaves in the middle of a transaction takes its session with it', async () => {
  await using pooler = await startPooler(server)
  const [one, other] = [await through(pooler), await through(pooler)]
  await one.query('begin')
  const waits = other.query('select 1 as n')
  streamOf(one).destroy()
  expect((await waits).rows).toEqual([{ n: 1 }])
  await other.end()
})

test('a session that is ended at the server takes its client with it, and another one is opened', async () => {
  await using pooler = await startPooler(server)
  const [one, other] = [await through(pooler), await through(pooler)]
  await one.query('begin')
  const { rows } = await one.query('select pg_backend_pid() as pid')
  const ended = new Promise((resolve) => one.once('end', resolve))
  const waits = other.query('select 1 as n')
  await server.query('select pg_terminate_backend($1)', [rows[0].pid])
  await ended
  expect((await waits).rows).toEqual([{ n: 1 }])
  expect(pooler.sessionsOpened).toBe(2)
  await other.end()
})
