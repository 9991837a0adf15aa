/**
 * Lambda, in the testkit's emulator: a process that is really frozen between invocations.
 *
 * What breaks: the connection dies while the function is frozen, and the request that wakes it is handled before the death is heard of. With
 * plain `pg` the invocation fails, or hangs to Lambda's timeout, which costs the process too. With Thaw nothing is seen. Each cell runs plain
 * `pg` first; where that passes, the cell says so, and is a control.
 */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type CutKind,
  type FaultProxy,
  type Lambda,
  type PostgresServer,
  startFaultProxy,
  startLambda,
  startPostgres,
  waitForSessions,
} from '@thaw/testkit'
import { build } from 'esbuild'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { Order } from './lambda-app.ts'

type Driver = 'pg' | 'thaw'

const APP = new URL('./lambda-app.mjs', import.meta.url)
/** AWS's own loop, by `test:ric`. Else the testkit's. */
const { AWS_LAMBDA_RIC } = process.env
const RUNTIME = AWS_LAMBDA_RIC ? { command: [process.execPath, AWS_LAMBDA_RIC] } : {}
/** AWS's waits for its next event in a thread that process.exit() does not end. */
const SHUT_DOWN = AWS_LAMBDA_RIC ? { signals: ['SIGTERM', 'SIGKILL'] } : { signals: ['SIGTERM'], end: { code: 0, signal: null } }
/** AWS gives half a second, which a loaded machine may take for nothing. */
const SHUTDOWN = AWS_LAMBDA_RIC ? {} : { shutdownMillis: 30_000 }
const MINUTE = 60_000
/** Room for a cold start on a loaded machine; for plain pg enough to call it hanging. */
const TIMEOUT_MILLIS: Readonly<Record<Driver, number>> = { pg: 3_000, thaw: 30_000 }

let server: PostgresServer
let proxy: FaultProxy
let app = ''
let count = 0
const lambdas: Lambda[] = []

beforeAll(async () => {
  server = await startPostgres()
  await server.query('CREATE TABLE ledger (token text NOT NULL)')
})
beforeEach(async () => {
  proxy = await startFaultProxy(server)
  app = `lambda-${++count}`
})
afterEach(async () => {
  for (const lambda of lambdas.splice(0)) await lambda[Symbol.asyncDispose]()
  await proxy.close()
})
afterAll(() => server.close())

function deploy(driver: Driver, env: Record<string, string> = {}, options: Parameters<typeof startLambda>[1] = {}): Lambda {
  const all = { DRIVER: driver, DATABASE_URL: proxy.urlFor(server.url), APP: app, ...env }
  const lambda = startLambda(APP, { env: all, timeoutMillis: TIMEOUT_MILLIS[driver], ...RUNTIME, ...SHUTDOWN, ...options })
  lambdas.push(lambda)
  return lambda
}

const invoke = (lambda: Lambda, order: Order = {}, beforeThaw?: () => void): Promise<unknown> =>
  lambda.invoke(order, beforeThaw ? { beforeThaw } : {})

async function rowsOf(token: string): Promise<number> {
  const { rows } = await server.query<{ n: number }>('SELECT count(*)::int AS n FROM ledger WHERE token = $1', [token])
  return rows[0]?.n ?? 0
}

interface Cell {
  readonly cut: CutKind
  readonly clock: 'running' | 'stopped'
  /** What plain pg does with it. */
  readonly plain: 'fails' | 'hangs' | 'passes'
}

const CELLS: readonly Cell[] = (['running', 'stopped'] as const).flatMap((clock) => [
  { cut: 'fin', clock, plain: 'fails' },
  // A control on AWS's own loop, whose request comes through another thread: the RST is heard of first.
  { cut: 'rst', clock, plain: AWS_LAMBDA_RIC ? 'passes' : 'fails' },
  { cut: 'rst-on-next-byte', clock, plain: 'fails' },
  { cut: 'drop', clock, plain: 'hangs' },
])

describe.for(CELLS)('a $cut during a freeze with the clock $clock', ({ cut, clock, plain }) => {
  const passed = { wallMillis: MINUTE, monoMillis: clock === 'running' ? MINUTE : 0 }

  async function strike(driver: Driver, env = {}): Promise<{ end: string; struck: number; coldStarts: number; rows: number }> {
    const lambda = deploy(driver, env)
    await invoke(lambda, { stopMono: clock === 'stopped' })
    await lambda.whenFrozen()
    const token = `${app}-${driver}`
    let struck = 0
    const request = invoke(lambda, { token, passed }, () => {
      struck = proxy.cut(cut)
    })
    const end = await request.then(
      () => 'passes',
      (error: Error) => (error.name === 'Sandbox.Timedout' ? 'hangs' : 'fails'),
    )
    return { end, struck, coldStarts: lambda.coldStarts, rows: await rowsOf(token) }
  }

  test(`plain pg ${plain}`, async () => {
    expect(await strike('pg')).toMatchObject({ end: plain, struck: 1 })
  })

  test.each([
    ['with withThaw', {}],
    ['without', { UNWRAPPED: '1' }],
  ])('is not seen on Thaw (%s), and written once', async (_, env) => {
    expect(await strike('thaw', env)).toEqual({ end: 'passes', struck: 1, coldStarts: 1, rows: 1 })
  })
})

test('what the first statement would have to ask is asked before the handler runs, which computes meanwhile', async () => {
  await proxy.close()
  proxy = await startFaultProxy(server, { record: true })
  const lambda = deploy('thaw')
  await invoke(lambda)
  await lambda.whenFrozen()
  const [flow] = proxy.flows
  const before = flow?.chunks.length ?? 0
  const folder = await mkdtemp(join(tmpdir(), 'thaw-parse-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = join(folder, 'probed')
  // The handler computes, and lets nothing else happen, until the server has answered what was asked before.
  const invoked = invoke(lambda, { do: 'parse', token: file, passed: { wallMillis: MINUTE, monoMillis: MINUTE } })
  await expect.poll(() => flow?.chunks.length, { interval: 5 }).toBe(before + 2)
  await writeFile(file, '')
  await invoked
  const [sync, ready, insert, inserted, ...more] = flow?.chunks.slice(before) ?? []
  // S, Z and the statement: the one round trip more is over when the handler wants its answer.
  expect([sync, ready, insert, inserted].map((chunk) => chunk?.direction)).toEqual(['to-server', 'to-client', 'to-server', 'to-client'])
  expect([sync?.data.toString('latin1'), ready?.data.toString('latin1')]).toEqual(['S\0\0\0\x04', 'Z\0\0\0\x05I'])
  expect(more).toEqual([])
  expect(proxy.counters.flowsOpened).toBe(1)
})

describe('sessions at the server', () => {
  // A machine that is shut down takes its network with it: no FIN is sent for a process that was killed.
  const unplug = () => proxy.cut('drop')

  test.each<Driver>(['pg', 'thaw'])('are left behind by a process that is killed, with %s', async (driver) => {
    const lambda = deploy(driver)
    await invoke(lambda)
    await lambda.whenFrozen()
    unplug()
    expect(await lambda.shutdown()).toMatchObject({ signals: ['SIGKILL'] })
    await waitForSessions(server, app, 1)
  })

  test.each<Driver>(['pg', 'thaw'])('are none after a shutdown that was registered, with %s', async (driver) => {
    const lambda = deploy(driver, { SHUTDOWN: 'registered' })
    await invoke(lambda)
    await lambda.whenFrozen()
    await waitForSessions(server, app, 1)
    expect(await lambda.shutdown()).toMatchObject(SHUT_DOWN)
    unplug()
    await waitForSessions(server, app, 0)
  })

  test('are none either in a bundle of CommonJS, where nothing can be awaited', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'thaw-cjs-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const outfile = join(folder, 'app.cjs')
    const source = `
      import { registerShutdown, withThaw } from '@thaw/lambda'
      import { Pool } from '@thaw/pg'
      const pool = new Pool({ connectionString: process.env.DATABASE_URL, application_name: process.env.APP })
      registerShutdown(pool)
      export const handler = withThaw(async (event) => (await pool.query('SELECT 1 AS one')).rows[0].one)`
    const stdin = { contents: source, resolveDir: import.meta.dirname }
    await build({
      stdin,
      outfile,
      bundle: true,
      minify: true,
      platform: 'node',
      format: 'cjs',
      external: ['pg-native'],
      logLevel: 'silent',
    })
    const lambda = startLambda(outfile, {
      env: { DATABASE_URL: proxy.urlFor(server.url), APP: app },
      timeoutMillis: TIMEOUT_MILLIS.thaw,
      ...RUNTIME,
      ...SHUTDOWN,
    })
    lambdas.push(lambda)
    expect(await invoke(lambda)).toBe(1)
    await lambda.whenFrozen()
    await waitForSessions(server, app, 1)
    expect(await lambda.shutdown()).toMatchObject(SHUT_DOWN)
    unplug()
    await waitForSessions(server, app, 0)
  })

  test('are none while the process is frozen, if that is wanted, and the next invocation dials', async () => {
    const lambda = deploy('thaw', { SHUTDOWN: 'before freeze' })
    for (const token of [`${app}-1`, `${app}-2`]) {
      await invoke(lambda, { token })
      await lambda.whenFrozen()
      await waitForSessions(server, app, 0)
      expect(await rowsOf(token)).toBe(1)
    }
    expect(proxy.counters.flowsOpened).toBe(2)
    expect(await lambda.shutdown()).toMatchObject(SHUT_DOWN)
  })

  test('before the freeze cannot be closed without the wrapper: it says so, and holds nothing up for long', async () => {
    const lambda = deploy('pg', { SHUTDOWN: 'before freeze' }, { timeoutMillis: 30_000 })
    await invoke(lambda)
    await lambda.whenFrozen()
    expect(lambda.stdout + lambda.stderr).toContain('needs withThaw()')
    await invoke(lambda)
  })
})

describe('the deadline', () => {
  const SHORT = { timeoutMillis: 2_000 }
  /** Two seconds to wait in, and four to answer: the machine may be loaded. */
  const TIMEOUT = { timeoutMillis: 6_000 }
  const MARGIN = { MARGIN: '4000' }

  test('of an invocation that waits for the database: plain pg waits until Lambda kills it', async () => {
    await proxy.deafen()
    const lambda = deploy('pg', {}, SHORT)
    await expect(invoke(lambda)).rejects.toMatchObject({ name: 'Sandbox.Timedout' })
  })

  test('with Thaw there is an answer before that, and the process lives', async () => {
    await proxy.deafen()
    const lambda = deploy('thaw', MARGIN, TIMEOUT)
    await expect(invoke(lambda)).rejects.toMatchObject({ name: 'DeadlineError', message: expect.stringContaining('Nothing was sent') })
    await proxy.accept()
    expect(await invoke(lambda)).toBe('done')
    expect(lambda.coldStarts).toBe(1)
  })

  test.each([
    ['of a write that has been sent leaves its outcome unknown, and says so', 'writeSlowly', 'OutcomeUnknownError'],
    ['is respected by what is requested after it', 'writeTooLate', 'DeadlineError'],
  ] as const)('%s', async (_, task, name) => {
    const lambda = deploy('thaw', MARGIN, TIMEOUT)
    const token = `${app}-late`
    await expect(invoke(lambda, { do: task, token })).rejects.toMatchObject({ name })
    expect(await invoke(lambda)).toBe('done')
    expect([lambda.coldStarts, await rowsOf(token)]).toEqual([1, 0])
  })
})

describe('a transaction inside which the pool is used, by Drizzle', () => {
  test.each<[string, Driver, Record<string, string>]>([
    ['plain pg', 'pg', {}],
    ['Thaw', 'thaw', { UNWRAPPED: '1' }],
    ['Thaw, wrapped', 'thaw', {}],
  ])('does not wait for itself, nor in the next invocation: %s', async (name, driver, env) => {
    const lambda = deploy(driver, env)
    for (const token of [`${name} 1`, `${name} 2`]) {
      await invoke(lambda, { do: 'nest', token })
      await lambda.whenFrozen()
      expect(await rowsOf(token)).toBe(1)
    }
    expect([lambda.coldStarts, proxy.counters.flowsOpened]).toEqual([1, 2])
  })

  test.each<Driver>(['pg', 'thaw'])('waits for itself where the user wants one connection: %s', async (driver) => {
    const lambda = deploy(driver, { MAX: '1', MARGIN: '4000' }, { timeoutMillis: driver === 'pg' ? 3_000 : 6_000 })
    // By Drizzle's words: it could not roll back any more. With Thaw there is an answer before Lambda ends the process.
    const name = driver === 'pg' ? 'Sandbox.Timedout' : 'Error'
    await expect(invoke(lambda, { do: 'nest', token: driver })).rejects.toMatchObject({ name })
    expect(await rowsOf(driver)).toBe(0)
  })
})

describe('bad use', () => {
  test('a client that is not released: plain pg waits for it for ever, with its transaction open', async () => {
    const lambda = deploy('pg', { MAX: '1' })
    await invoke(lambda, { do: 'leak' })
    await expect(invoke(lambda)).rejects.toMatchObject({ name: 'Sandbox.Timedout' })
  })

  test('a client that is not released, its transaction open: Thaw takes it back, and says where it was acquired', async () => {
    const lambda = deploy('thaw')
    const token = `${app}-leaked`
    await invoke(lambda, { do: 'leak', token })
    expect(await invoke(lambda)).toBe('done')
    expect(lambda.stdout + lambda.stderr).toContain('lambda-app.ts')
    expect(await rowsOf(token)).toBe(0)
    await waitForSessions(server, app, 1)
  })

  test('work that is not awaited runs on in the next invocation, once', async () => {
    const lambda = deploy('thaw', { MAX: '2' })
    const token = `${app}-forgotten`
    await invoke(lambda, { do: 'forget', token })
    await lambda.whenFrozen()
    await invoke(lambda)
    await expect.poll(() => rowsOf(token)).toBe(1)
  })

  test('a pool that an earlier invocation has ended fails each later one, in node-postgres’ words', async () => {
    const lambda = deploy('thaw')
    await invoke(lambda, { do: 'end' })
    await expect(invoke(lambda)).rejects.toMatchObject({
      message: expect.stringContaining('Cannot use a pool after calling end on the pool'),
    })
  })
})

test('a streaming handler is in its invocation until its stream has ended', async () => {
  const lambda = deploy('thaw', {}, { handler: 'stream' })
  expect(await invoke(lambda)).toBe('1 2 3 4 in scope')
})

test('on a managed instance, what one invocation leaks does not take what another holds', async () => {
  const lambda = deploy('thaw', { MAX: '2' }, { maxConcurrency: 4, threads: 1 })
  const token = `${app}-held`
  const held = invoke(lambda, { do: 'hold', token })
  await waitForSessions(server, app, 1, 30_000)
  const leaker = await invoke(lambda, { do: 'leakBesideHolder', token: 'x' })
  expect(await held).not.toBe(leaker)
  expect(await rowsOf(token)).toBe(1)
  await waitForSessions(server, app, 1)
})

test('on a managed instance each thread has a pool of its own, of two connections', async () => {
  const lambda = deploy('thaw', {}, { maxConcurrency: 4, threads: 2 })
  const all = Array.from({ length: 4 }, () => invoke(lambda, { do: 'readTogether' }))
  expect(await Promise.all(all)).toEqual(Array(4).fill('done'))
  await waitForSessions(server, app, 4)
})
