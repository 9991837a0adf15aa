import { createServer } from 'node:net'

// Below the range that Linux (32768) and macOS (49152) draw outgoing ports from. A port inside that range can be taken by another outgoing
// connection while a server is stopped, and a client that connects to it meanwhile can even connect to itself.
const FIRST_PORT = 15_000
const LAST_PORT = 32_000
const ATTEMPTS = 50

/** Finds a port of 127.0.0.1 on which nothing listens. Another process may still take it before you do. */
export async function findFreePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT))
    if (await isFree(port)) return port
  }
  throw new Error(`Found no free port of 127.0.0.1 between ${FIRST_PORT} and ${LAST_PORT} in ${ATTEMPTS} attempts. Pass a port yourself.`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
