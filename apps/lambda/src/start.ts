/** Starts the app on this machine, and ends with Ctrl-C. */

import { startLocally } from './local.ts'

const PORT = 3000

const app = await startLocally(undefined, undefined, Number(process.env.PORT ?? PORT))
console.log(`Orders are taken at ${app.url}. The functions are frozen between requests, for real.

  curl ${app.url}/orders -d '{ "item": "tea" }'
  curl ${app.url}/orders
  curl ${app.url}/stream

PostgreSQL: ${app.server.url}
Ctrl-C ends everything.`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    await app[Symbol.asyncDispose]()
    process.exit(0)
  })
}
