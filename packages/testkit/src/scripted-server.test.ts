import { setImmediate as turn } from 'node:timers/promises'
import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createFakeClock } from './fake-clock.ts'
import { createScriptedServer, type ScriptedServerOptions } from './scripted-server.ts'

const answer: ScriptedServerOptions['answer'] = (text, values) => {
  if (text.includes('1/0')) return { error: { code: '22012', message: 'division by zero' } }
  if (text.includes('null')) return { columns: ['value'], rows: [[null]] }
  if (text.includes('slow')) return { columns: ['slow'], rows: [['yes']], workMillis: 500 }
  return text.startsWith('select') ? { columns: ['value'], rows: [[values[0] ?? 'none']] } : undefined
}

function setUp(options: Partial<ScriptedServerOptions> = {}) {
  const clock = createFakeClock()
  const server = createScriptedServer({ clock, answer, ...options })
  const client = new pg.Client({ stream: server.stream as never })
  const ends: string[] = []
  client.on('error', (error) => ends.push((error as { code?: string }).code ?? error.message))
  onTestFinished(() => server.close())
  /** Lets time pass until it has settled. */
  const settled = async <T>(promise: Promise<T>): Promise<T> => {
    let isOver = false
    promise.then(...[() => (isOver = true), () => (isOver = true)])
    for (let step = 0; !isOver && step < 2000; step++) await clock.advanceAsync(1)
    return promise
  }
  return { clock, server, client, ends, settled }
}

test('answers node-postgres by both protocols, with errors and transactions, and is ready afterwards', async () => {
  const { client, settled } = setUp()
  await settled(client.connect())
  expect((await settled(client.query('select 1'))).rows).toEqual([{ value: 'none' }])
  expect((await settled(client.query('select $1', ['a']))).rows).toEqual([{ value: 'a' }])
  expect((await settled(client.query({ name: 'n', text: 'select $1', values: ['b'] }))).rows).toEqual([{ value: 'b' }])
  expect((await settled(client.query({ name: 'n', text: 'select $1', values: ['c'] }))).rows).toEqual([{ value: 'c' }])
  await expect(settled(client.query('select 1/0'))).rejects.toMatchObject({ code: '22012' })
  await expect(settled(client.query('select 1/0', ['a']))).rejects.toMatchObject({ code: '22012' })
  expect((await settled(client.query('select null'))).rows).toEqual([{ value: null }])
  await expect(settled(client.query('what'))).rejects.toMatchObject({ code: '42601' })
  await settled(client.query('BEGIN'))
  await expect(settled(client.query('select 1/0'))).rejects.toThrow()
  await expect(settled(client.query('select 1'))).rejects.toMatchObject({ code: '25P02' })
  expect((await settled(client.query('COMMIT'))).command).toBe('ROLLBACK')
  expect((await settled(client.query(''))).rows).toEqual([])
  expect((await settled(client.query('select 1'))).rows).toHaveLength(1)
  await settled(client.end())
})

test('a statement takes as long as it says, and those behind it wait', async () => {
  const { client, clock, settled, server } = setUp({ latencyMillis: 10 })
  await settled(client.connect())
  const order: string[] = []
  const slow = client.query('select slow').then(() => order.push('slow'))
  const quick = client.query('select $1', ['a']).then(() => order.push('quick'))
  await clock.advanceAsync(500)
  expect({ order, isBusy: server.connections()[0]?.isBusy }).toEqual({ order: [], isBusy: true })
  await clock.advanceAsync(20)
  expect(order).toEqual(['slow'])
  await settled(Promise.all([slow, quick]))
})

test('a cancel request stops the statement at the server that it reaches', async () => {
  const { client, settled, server, clock } = setUp()
  await settled(client.connect())
  const slow = client.query('select slow')
  await clock.advanceAsync(10)
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number }
  const socket = server.stream()
  const bytes = Buffer.alloc(16)
  for (const [index, word] of [16, 80_877_102, processID, secretKey].entries()) bytes.writeInt32BE(word, index * 4)
  ;(socket as unknown as { connect(): void }).connect()
  socket.on('error', () => {}).write(bytes)
  await expect(settled(slow)).rejects.toMatchObject({ code: '57014' })
})

describe('a connection that is lost', () => {
  test.each([
    ['fin', 'Connection terminated unexpectedly'],
    ['reset', 'ECONNRESET'],
    ['terminate', '57P01'],
  ] as const)('%s: node-postgres is told %s', async (kind, told) => {
    const { client, settled, server, clock, ends } = setUp()
    await settled(client.connect())
    server.connections()[0]?.fault(kind)
    await clock.advanceAsync(10)
    expect(ends).toContain(told)
    expect(server.connections()).toEqual([])
  })

  test('in silence nothing arrives, until keep-alive gives up', async () => {
    const { client, settled, server, clock } = setUp()
    await settled(client.connect())
    server.connections()[0]?.fault('silence')
    let told: unknown
    client.query('select 1').catch((error) => {
      told = error.code
    })
    await clock.advanceAsync(19_000)
    expect(told).toBeUndefined()
    await clock.advanceAsync(2000)
    expect(told).toBe('ETIMEDOUT')
  })

  test('a server that refuses, and one that is deaf', async () => {
    const refused = setUp()
    refused.server.mood = 'refusing'
    await expect(refused.settled(refused.client.connect())).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    const deaf = setUp()
    deaf.server.mood = 'deaf'
    let isOver = false
    deaf.client
      .connect()
      .finally(() => (isOver = true))
      .catch(() => {})
    await deaf.clock.advanceAsync(60_000)
    expect(isOver).toBe(false)
  })
})

test('what the world does goes on while a freeze stops the clock of the process', async () => {
  const { client, settled, server, clock } = setUp()
  await settled(client.connect())
  let isOver = false
  client.query('select slow').then(
    () => (isOver = true),
    () => {},
  )
  await clock.advanceAsync(5)
  clock.freeze(1000, { stops: 'both' })
  server.elapse(1000)
  await clock.advanceAsync(3)
  await turn()
  expect(isOver).toBe(true)
})

test('two servers take connections in turn', async () => {
  const { client, settled, server } = setUp({ servers: 2 })
  const other = new pg.Client({ stream: server.stream as never })
  other.on('error', () => {})
  await settled(Promise.all([client.connect(), other.connect()]))
  expect(server.connections().map(({ server: number }) => number)).toEqual([0, 1])
  expect(server.mostOpen).toBe(2)
})
