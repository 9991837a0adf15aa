/** Starts the app on this machine, for development. Ctrl-C ends everything. */

import { startLocally } from './local.ts'

const PORT = 3000

const app = await startLocally('dev', Number(process.env.PORT ?? PORT))
console.log(`The shop is open at ${app.url}. Press "Freeze and cut" there, and see it survive.

PostgreSQL: ${app.server.url}
Ctrl-C ends everything.`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    await app[Symbol.asyncDispose]()
    process.exit(0)
  })
}
