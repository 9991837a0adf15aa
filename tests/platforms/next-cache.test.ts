/**
 * Next.js with Cache Components: pages are prerendered when the app is built, and reading the time or randomness meanwhile stops the build
 * ("encountered the unstable value `Date.now()`"), as Thaw did. Plain `pg` reads no clock, and builds.
 */

import { type Neon, startNeon } from '@thaw/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AppCopy, buildApp, copyApp, type NextServer, startNext } from './next-server.ts'

/** To build it takes its time on a loaded machine. */
const LIMIT_MILLIS = 600_000
const DRIVERS = ['pg', 'thaw', 'transaction', 'client', 'one-pool', 'neon-pool', 'neon-http']

let neon: Neon
let env: Record<string, string>
let app: AppCopy
let next: NextServer

beforeAll(async () => {
  ;[neon, app] = await Promise.all([startNeon(), copyApp('next-cache-app')])
  await neon.postgres.query('CREATE TABLE orders (id int)')
  await neon.postgres.query('INSERT INTO orders VALUES (1), (2)')
  env = { DATABASE_URL: neon.postgres.url, NEON_URL: neon.url, NEON_DRIVER: JSON.stringify(neon.driver) }
  await buildApp(app.folder, 'turbopack', env)
  await neon.postgres.query('INSERT INTO orders VALUES (3)')
  next = await startNext(app.folder, 'start', env)
}, LIMIT_MILLIS)
afterAll(async () => {
  await next?.[Symbol.asyncDispose]()
  await app?.[Symbol.asyncDispose]()
  await neon?.close()
})

const page = async (path: string): Promise<string> => (await fetch(`${next.url}${path}`)).text()

describe.for(DRIVERS)('%s', (driver) => {
  test('is asked in each request what is inside of <Suspense>', async () => {
    expect(await page(`/live/${driver}`)).toMatch(/the shell.*3 live/s)
  })

  test("was asked when the app was built for what is under 'use cache'", async () => {
    expect(await page(`/cached/${driver}`)).toContain('2 cached')
  })
})

test('what waits for connection() is asked in each request', async () => {
  expect(await page('/waiting')).toContain('3 waiting')
})

test('there was no complaint', () => {
  expect(next.output).not.toMatch(/error|unstable/i)
})

test(
  'webpack builds it too',
  async () => {
    // Every page that can be prerendered has asked its driver by then.
    await using other = await copyApp('next-cache-app')
    await buildApp(other.folder, 'webpack', env)
  },
  LIMIT_MILLIS,
)
