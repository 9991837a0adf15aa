/** What Neon's proxy does with a WebSocket: the protocol of PostgreSQL, in binary messages, both ways. */

import { connect, type Socket } from 'node:net'
import { createWebSocketStream, type WebSocket } from 'ws'
import { COMPUTE_UNREACHABLE, type ComputeAddress } from './neon-compute.ts'
import type { NeonKeys } from './neon-keys.ts'

/** Joins the WebSocket to the database. What the client sends before the database is reached waits. `keys`: as the client is to know them. */
export function openTunnel(webSocket: WebSocket, reach: () => Promise<ComputeAddress>, keys?: NeonKeys): void {
  const client = createWebSocketStream(webSocket)
  // A client that disconnects: the database's side is told below.
  client.on('error', () => {})
  reach()
    .then(dial)
    .then(
      (server) => {
        server.on('error', () => client.destroy())
        client.on('close', () => server.destroy())
        if (keys) client.pipe(keys.toServer()).pipe(server).pipe(keys.toClient()).pipe(client)
        else client.pipe(server).pipe(client)
      },
      () => client.end(errorResponse(COMPUTE_UNREACHABLE)),
    )
}

function dial({ host, port }: ComputeAddress): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })
}

/** As the proxy words what it has to say itself: https://www.postgresql.org/docs/current/protocol-error-fields.html */
function errorResponse(message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0CXX000\0M${message}\0\0`)
  const head = Buffer.from('E\0\0\0\0')
  head.writeInt32BE(fields.length + 4, 1)
  return Buffer.concat([head, fields])
}
