/** Loses the end of a client's flight: its beginning has reached the pooler, which waits for the rest; the client is reset, and the pooler is not told. */

import { connect, createServer, type Socket } from 'node:net'

export interface HalfFlight extends AsyncDisposable {
  readonly host: string
  readonly port: number
  /** The next chunk with this text in it goes out up to there. Resolves when that has happened. */
  loseFrom(text: string): Promise<void>
}

export async function startHalfFlight(target: { readonly host: string; readonly port: number }): Promise<HalfFlight> {
  const sockets = new Set<Socket>()
  let ambush: { readonly text: string; readonly struck: () => void } | undefined
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ ...target, noDelay: true })
    let isLost = false
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => {
        sockets.delete(socket)
        if (!isLost) (socket === client ? upstream : client).destroy()
      })
    }
    upstream.on('data', (chunk) => isLost || client.write(chunk))
    client.on('data', (chunk) => {
      const at = ambush ? chunk.indexOf(ambush.text) : -1
      if (at === -1) return void upstream.write(chunk)
      isLost = true
      upstream.write(chunk.subarray(0, at))
      client.resetAndDestroy()
      ambush?.struck()
      ambush = undefined
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  return {
    host: '127.0.0.1',
    port,
    loseFrom: (text) =>
      new Promise((struck) => {
        ambush = { text, struck }
      }),
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
