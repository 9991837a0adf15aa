/** The app as people run it: in workerd, from its own wrangler.jsonc, and as it would be uploaded. */

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { waitForSessions } from '@thaw/testkit'
import { expect, test } from 'vitest'
import { createTestHarness } from 'wrangler'
import { startDatabase } from './database.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** Nearly two thirds of it are pg, Drizzle, Hono and Neon's driver. A free Worker may have 3 MB. */
const MOST_KIB = 320

test('takes orders, counts the stock, confirms by the queue, streams, and asks Neon', async () => {
  await using database = await startDatabase()
  const { server, env, vars } = database
  Object.assign(process.env, env)
  const worker = createTestHarness({ workers: [{ configPath: `${ROOT}wrangler.jsonc`, vars }] })
  try {
    await worker.listen()
    const order = async (item: string) => {
      const response = await worker.fetch('/orders', { method: 'POST', body: JSON.stringify({ item }) })
      return { status: response.status, ...((await response.json()) as object) }
    }
    expect(await order('tea')).toEqual({ status: 201, id: 1, item: 'tea', confirmed: false, left: 99 })
    expect(await order('milk')).toEqual({ status: 201, id: 2, item: 'milk', confirmed: false, left: 0 })
    expect(await order('milk')).toEqual({ status: 409, error: 'There is no milk left.' })
    expect((await order('')).status).toBe(400)
    await expect
      .poll(async () => (await worker.fetch('/orders')).json(), { timeout: 20_000 })
      .toEqual([
        { id: 2, item: 'milk', confirmed: true },
        { id: 1, item: 'tea', confirmed: true },
      ])
    expect(await (await worker.fetch('/stream')).text()).toBe('{"id":1,"item":"tea"}\n{"id":2,"item":"milk"}\n')
    // Wrangler's harness opens no WebSockets: the pool over them is in the next test.
    expect(await (await worker.fetch('/neon/http')).json()).toHaveLength(2)
    // Those of the objects, after five seconds.
    await waitForSessions(server, 'app-cloudflare', 0, 30_000)
  } finally {
    await worker.close()
  }
})

test('one command starts it, and an interrupt ends it', async () => {
  const child = spawn(process.execPath, ['local/start.ts'], {
    cwd: ROOT,
    env: { ...process.env, PORT: '0', PATH: `${ROOT}node_modules/.bin:${process.env.PATH}` },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let said = ''
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    said += chunk
    if (/Ready on \S+/.test(said)) break
  }
  const url = /Ready on (\S+)/.exec(said)?.[1]
  const ask = async (path: string) => (await fetch(`${url}${path}`)).json()
  expect(await ask('/orders')).toEqual([])
  // A pool at module level, over WebSockets: the second request has one of its own.
  expect([await ask('/neon/socket'), await ask('/neon/socket')]).toEqual([[], []])
  child.kill('SIGINT')
  await once(child, 'exit')
})

test(`is an upload of less than ${MOST_KIB} KiB`, async () => {
  const { stdout } = await promisify(execFile)('npm', ['run', '--silent', 'size'], { cwd: ROOT })
  const kib = Number(/gzip: ([\d.]+) KiB/.exec(stdout)?.[1])
  expect(kib).toBeGreaterThan(0)
  expect(kib).toBeLessThan(MOST_KIB)
})
