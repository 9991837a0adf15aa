/** The same app as a server of its own: on a laptop, in a container. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import app from './app.ts'
import { pool } from './database.ts'

const PORT = 3000
/** How long open requests may take after a signal. */
const GRACE_MILLIS = 10_000

const { PORT: port = PORT, HOST: host = '127.0.0.1' } = process.env

const server = createServer(app)
server.listen(Number(port), host, () => {
  const { address, port } = server.address() as AddressInfo
  console.log(`Orders are taken at http://${address}:${port}`)
})

// What is kept alive would keep the process alive too, once it is to end.
server.on('request', (_request, response) => {
  response.on('close', () => {
    if (!server.listening) server.closeIdleConnections()
  })
})

/** Answers what is open, and ends. */
function close(): void {
  if (!server.listening) return
  server.close(() => pool.end({ timeoutMillis: GRACE_MILLIS }))
  setTimeout(() => server.closeAllConnections(), GRACE_MILLIS).unref()
}
process.on('SIGINT', close)
process.on('SIGTERM', close)
