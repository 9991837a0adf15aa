import { once } from 'node:events'
import { connect, createServer, type Server } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'

let echo: Server
let proxy: FaultProxy
// Sockets at the server's side that have not closed yet.
let serverSockets = 0

beforeAll(async () => {
  echo = createServer((socket) => {
    serverSockets++
    socket.on('close', () => serverSockets--).on('error', () => {})
    socket.pipe(socket)
  }).listen(0, '127.0.0.1')
  await once(echo, 'listening')
})
afterAll(() => void echo.close())
beforeEach(async () => {
  proxy = await startFaultProxy({ host: '127.0.0.1', port: (echo.address() as { port: number }).port })
  return () => proxy.close()
})

/** Says what became of a new connection. */
async function knock(): Promise<'echoed' | string> {
  const socket = connect(proxy.port, proxy.host)
  try {
    await once(socket, 'connect')
    socket.write('anybody?')
    await once(socket, 'data')
    return 'echoed'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'failed'
  } finally {
    socket.destroy()
  }
}

test('the last word counts when refuse overtakes accept', async () => {
  proxy.refuse()
  const accepted = proxy.accept()
  proxy.refuse()
  await accepted
  expect(await knock()).toBe('ECONNREFUSED')
  await proxy.accept()
  expect(await knock()).toBe('echoed')
})

test('each of several accepts waits until it listens', async () => {
  proxy.refuse()
  void proxy.accept()
  await proxy.accept()
  expect(await knock()).toBe('echoed')
})

test('a port that was taken meanwhile: accept says so, and can be tried again', async () => {
  proxy.refuse()
  const squatter = createServer().listen(proxy.port, '127.0.0.1')
  await once(squatter, 'listening')
  await expect(proxy.accept()).rejects.toMatchObject({ code: 'EADDRINUSE' })
  squatter.close()
  await once(squatter, 'close')
  await proxy.accept()
  expect(await knock()).toBe('echoed')
})

test('close: both sides of every flow have ended, and nothing brings it back', async () => {
  const sockets = Array.from({ length: 3 }, () => connect(proxy.port, proxy.host).on('error', () => {}))
  for (const socket of sockets) {
    socket.write('here')
    await once(socket, 'data')
  }
  // One of each: as ever, with neither side told, and with one side held.
  proxy.flows[1]?.cut('drop')
  proxy.flows[2]?.cut('rst', { server: 'hold' })
  await proxy.close()
  await proxy.close()
  expect(proxy.counters).toMatchObject({ flowsOpened: 3, flowsClosed: 3 })
  await expect.poll(() => serverSockets).toBe(0)
  expect(await knock()).toBe('ECONNREFUSED')
  await expect(proxy.accept()).rejects.toThrow(/proxy is closed/)
  await expect(proxy.deafen()).rejects.toThrow(/proxy is closed/)
  expect(await knock()).toBe('ECONNREFUSED')
  for (const socket of sockets) socket.destroy()
})

test('close, while it is about to accept', async () => {
  proxy.refuse()
  const accepted = proxy.accept()
  await proxy.close()
  await accepted
  expect(await knock()).toBe('ECONNREFUSED')
})

test('a delayed flood passes whole and in order, without a warning', async () => {
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => void warnings.push(warning)
  process.on('warning', onWarning)
  proxy.setDelay({ toServerMillis: 30, toClientMillis: 30 })
  const flood = Buffer.from(Uint32Array.from({ length: 1_000_000 }, (_, index) => index).buffer)
  const socket = connect(proxy.port, proxy.host)
  socket.end(flood)
  const received: Buffer[] = []
  for await (const chunk of socket) received.push(chunk as Buffer)
  process.off('warning', onWarning)
  expect(Buffer.concat(received).equals(flood)).toBe(true)
  expect(warnings).toEqual([])
})
