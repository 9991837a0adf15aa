/** The app as people run it: in workerd, from its own wrangler.jsonc, and as it would be uploaded. */

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { waitForSessions } from '@thaw/testkit'
import { expect, test } from 'vitest'
import { createTestHarness } from 'wrangler'
import { startDatabase } from './database.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** Two thirds of it are pg, Drizzle and Hono. A free Worker may have 3 MB. */
const MOST_KIB = 120

test('takes orders, counts the stock, confirms by the queue, streams', async () => {
  const { server, env } = await startDatabase()
  Object.assign(process.env, env)
  const worker = createTestHarness({ workers: [{ configPath: `${ROOT}wrangler.jsonc` }] })
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
    // Those of the objects, after five seconds.
    await waitForSessions(server, 'app-cloudflare', 0, 30_000)
  } finally {
    await worker.close()
    await server.close()
  }
})

test(`is an upload of less than ${MOST_KIB} KiB`, async () => {
  const { stdout } = await promisify(execFile)('npm', ['run', '--silent', 'size'], { cwd: ROOT })
  const kib = Number(/gzip: ([\d.]+) KiB/.exec(stdout)?.[1])
  expect(kib).toBeGreaterThan(0)
  expect(kib).toBeLessThan(MOST_KIB)
})
