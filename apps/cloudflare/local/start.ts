/** Starts the app on this machine: PostgreSQL and `wrangler dev`. Ctrl-C ends both. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { startDatabase } from './database.ts'

await using database = await startDatabase()
const { server, env, vars } = database
const port = process.env.PORT ?? '8787'
console.log(`PostgreSQL: ${server.url}

  curl http://127.0.0.1:${port}/orders -d '{ "item": "tea" }'
  curl http://127.0.0.1:${port}/orders
  curl http://127.0.0.1:${port}/stream
  curl http://127.0.0.1:${port}/neon/http
`)
const bound = Object.entries(vars).flatMap(([name, value]) => ['--var', `${name}:${value}`])
const wrangler = spawn('wrangler', ['dev', '--ip', '127.0.0.1', '--port', port, '--show-interactive-dev-session=false', ...bound], {
  cwd: fileURLToPath(new URL('..', import.meta.url)),
  env: { ...process.env, ...env },
  stdio: 'inherit',
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => wrangler.kill(signal))
const [code] = await once(wrangler, 'exit')
process.exitCode = code ?? 0
