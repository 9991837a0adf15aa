/** A test run that is killed leaves no PgBouncer behind, as it leaves no PostgreSQL. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type PostgresServer, startPostgres } from '@thaw/testkit'
import pg from 'pg'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'

const RUN = `
import { startPgBouncer } from '@thaw/testkit'
const pooler = await startPgBouncer({ url: process.env.DATABASE_URL })
console.log(pooler.urlFor(process.env.DATABASE_URL))
if (process.env.CLOSES) await pooler.close()
else setInterval(() => {}, 1000)
`

let server: PostgresServer
let folder: string

beforeAll(async () => {
  server = await startPostgres()
  folder = await mkdtemp(join(tmpdir(), 'thaw-killed-'))
})
afterAll(async () => {
  await server.close()
  await rm(folder, { recursive: true, force: true })
})

function startRun(env: NodeJS.ProcessEnv = {}) {
  const run = spawn(process.execPath, ['--input-type=module', '-e', RUN], {
    cwd: import.meta.dirname,
    env: { ...process.env, ...env, DATABASE_URL: server.url, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void run.kill('SIGKILL'))
  return run
}

const isThere = async (url: string): Promise<boolean> => {
  const client = new pg.Client(url)
  client.on('error', () => {})
  const is = await client.connect().then(
    () => true,
    () => false,
  )
  await client.end().catch(() => {})
  return is
}

test('PgBouncer ends with the process that started it, however that ends, and its folder is deleted', async () => {
  const run = startRun()
  const [line] = (await once(run.stdout.setEncoding('utf8'), 'data')) as [string]
  const url = line.trim()
  expect(await isThere(url)).toBe(true)
  run.kill('SIGKILL')
  await expect.poll(() => isThere(url), { timeout: 20_000 }).toBe(false)
  await expect.poll(() => readdir(folder), { timeout: 20_000 }).toEqual([])
})

test('one that was closed keeps no process alive', async () => {
  const run = startRun({ CLOSES: 'yes' })
  const [said, [code]] = await Promise.all([text(run.stdout), once(run, 'exit')])
  expect([code, await isThere(said.trim()), await readdir(folder)]).toEqual([0, false, []])
})
