/** A trace of the request after a freeze, as docs/start/observe.md shows it: with pg it is an error, with Thaw it says what it was saved from. */

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

interface Traced {
  readonly name: string
  readonly failed?: string
  readonly events: string[]
}

async function requestOn(driver: string): Promise<Traced | undefined> {
  const app = fileURLToPath(new URL('./traced-app.cjs', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [app, driver])
  return (JSON.parse(stdout) as Traced[]).find(({ name }) => name === 'GET /orders/7')
}

test("the request's own span tells of the thaw, beside OpenTelemetry's instrumentation", async () => {
  const [stock, thaw] = await Promise.all([requestOn('pg'), requestOn('@thaw/pg')])
  expect(stock).toEqual({ name: 'GET /orders/7', failed: 'read ECONNRESET', events: [] })
  // Whether a read was on its way when the first death was seen, and had to be retried, is a matter of microseconds.
  expect(thaw).toMatchObject({ name: 'GET /orders/7' })
  expect(thaw?.failed).toBeUndefined()
  expect(thaw?.events.at(-1)).toBe('thawed after 6 min: 3 dead, 0 failed')
})
