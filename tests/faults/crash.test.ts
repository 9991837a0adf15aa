/**
 * A connection that dies without an error listener.
 *
 * What breaks: a socket that is idle, in use or half connected, in a process whose author never wrote `pool.on('error')`. With plain `pg`
 * the event ends the process (`Unhandled 'error' event`), and everything else that it was doing. With Thaw it goes on.
 */

import {
  type FaultProxy,
  type FreezableProcess,
  type PostgresServer,
  spawnFreezable,
  startFaultProxy,
  startPostgres,
  terminateSessions,
} from '@thaw/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Driver } from './child.ts'
import { until } from './until.ts'

interface Scene {
  readonly child: FreezableProcess
  readonly proxy: FaultProxy
  readonly app: string
}

let server: PostgresServer
let children: Readonly<Record<Driver, FreezableProcess>>
let lastId = 0

beforeAll(async () => {
  const start = () => spawnFreezable(new URL('./bystander.ts', import.meta.url))
  const [postgres, pg, thaw] = await Promise.all([startPostgres(), start(), start()])
  server = postgres
  children = { pg, thaw }
})
afterAll(() => Promise.all([children.pg.kill(), children.thaw.kill(), server.close()]))

const DEATHS: Readonly<Record<string, (scene: Scene) => unknown>> = {
  'by FIN': ({ proxy }) => proxy.cut('fin'),
  'by RST': ({ proxy }) => proxy.cut('rst'),
  'by 57P01': ({ app }) => terminateSessions(server, app),
}

const SURVIVES = { served: [{ one: 1 }], uncaught: [] }

/** The uncaught errors of a process whose connections died, and whether it still served afterwards. */
async function survive(driver: Driver | 'client', strike: (scene: Scene) => Promise<unknown>) {
  await using proxy = await startFaultProxy(server)
  const child = children[driver === 'pg' ? 'pg' : 'thaw']
  const uncaughtBefore = child.uncaught.length
  const app = `bystander-${++lastId}`
  const config = { connectionString: proxy.urlFor(server.url), application_name: app, max: 2 }
  await child.call('open', { driver, config })
  await strike({ child, proxy, app })
  await until('the connections are gone', () => proxy.flows.length > 0 && proxy.flows.every(({ state }) => state === 'closed'))
  const served = await child.call('query')
  return { served, uncaught: child.uncaught.slice(uncaughtBefore).map(({ error }) => error.message) }
}

describe.each(Object.entries(DEATHS))('%s', (_how, die) => {
  test('an idle connection', async () => {
    const strike = async (scene: Scene) => {
      await scene.child.call('query')
      await die(scene)
    }
    expect((await survive('pg', strike)).uncaught.length).toBeGreaterThan(0)
    expect(await survive('thaw', strike)).toEqual(SURVIVES)
    expect(await survive('client', strike), "node-postgres' pool with Thaw's Client").toEqual(SURVIVES)
  })

  test('a connection in the hands of a caller', async () => {
    const strike = async (scene: Scene) => {
      await scene.child.call('hold')
      await die(scene)
    }
    expect((await survive('pg', strike)).uncaught.length).toBeGreaterThan(0)
    expect(await survive('thaw', strike)).toEqual(SURVIVES)
    expect(await survive('client', strike), "node-postgres' pool with Thaw's Client").toEqual(SURVIVES)
  })
})

describe('a connection that is half made', () => {
  /** Cuts a connection attempt that the server has accepted, and not answered yet. */
  async function halfConnected(driver: Driver, kind: 'fin' | 'rst') {
    await using proxy = await startFaultProxy(server)
    const child = children[driver]
    const uncaughtBefore = child.uncaught.length
    await child.call('open', { driver, config: { connectionString: proxy.urlFor(server.url), max: 2 } })
    await proxy.deafen()
    const call = child.call('query').then(
      () => 'ok',
      (error: Error) => error.message,
    )
    await until('a dial has arrived', () => proxy.counters.struck.deaf > 0)
    await proxy.accept()
    proxy.cut(kind)
    return { said: await call, uncaught: child.uncaught.length - uncaughtBefore }
  }

  test.each(['fin', 'rst'] as const)('cut by %s', async (kind) => {
    expect((await halfConnected('pg', kind)).said).toMatch(/terminated unexpectedly|ECONNRESET/)
    expect(await halfConnected('thaw', kind)).toEqual({ said: 'ok', uncaught: 0 })
  })
})
