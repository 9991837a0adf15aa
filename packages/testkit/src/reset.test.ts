import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { reset } from './reset.ts'

test.for([true, false])('a socket is closed, its FIN under way: %s', async (isEnding) => {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  client.on('error', () => {})
  const ended = new Promise((resolve) => client.once('close', resolve))
  const [socket] = (await once(server, 'connection')) as [Socket]
  const closed = once(socket, 'close')
  if (isEnding) socket.end()
  reset(socket)
  await closed
  client.destroy()
  await ended
  server.close()
  expect(socket.destroyed).toBe(true)
})
