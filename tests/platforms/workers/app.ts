/**
 * A Worker with a pool at module level. The first part of the path says on what: `/pg` plain node-postgres, `/thaw` Thaw alone, `/wrapped` Thaw and
 * `withThaw`. The second says what to do.
 */

import { DurableObject, WorkerEntrypoint, WorkflowEntrypoint, type WorkflowEvent, type WorkflowStep } from 'cloudflare:workers'
import { invocation, thawMiddleware, withThaw } from '@thaw/cloudflare'
import { Client, ThawError } from '@thaw/pg'
import { drizzle } from 'drizzle-orm/node-postgres'
import { Hono } from 'hono'
import pg from 'pg'
import { type DatabaseEnv, empty, hyperdrive, missing, nowhere, objectPools, poolOf, thaw } from './database.ts'

/** What the tests bind. */
interface Env extends DatabaseEnv {
  readonly COUNTER: DurableObjectNamespace
  readonly WRAPPED_COUNTER: DurableObjectNamespace<CountingObject>
  readonly REPORT: Service<typeof Report>
  readonly QUEUE: Queue<string>
  readonly ORDERING: Workflow<OrderPayload>
}

/** What a workflow is started with. */
interface OrderPayload {
  readonly token: string
}

const PID = 'SELECT pg_backend_pid() AS pid'
const db = drizzle(thaw)

let atGlobalScope: unknown
thaw.query('SELECT 1').catch((error: unknown) => {
  atGlobalScope = error
})

const pidOf = async (on: Pick<pg.Pool, 'query'>): Promise<number> => (await on.query<{ pid: number }>(PID)).rows[0]?.pid ?? 0

let held: pg.PoolClient | undefined
let heldClient: pg.Client | undefined

async function writeSlowly(client: pg.PoolClient, token: string): Promise<void> {
  await client.query('SELECT pg_sleep(0.1)')
  await client.query('INSERT INTO done VALUES ($1)', [token])
  client.release()
}

type Case = (pool: pg.Pool, env: Env, ctx: ExecutionContext, url: URL) => unknown

const cases: Readonly<Record<string, Case>> = {
  /** A statement, and two at once, and a transaction. */
  async mixed(pool) {
    const pids = [await pidOf(pool), ...(await Promise.all([pidOf(pool), pidOf(pool)]))]
    const client = await pool.connect()
    try {
      await client.query('BEGIN')
      pids.push(await pidOf(client))
      await client.query('COMMIT')
    } finally {
      client.release()
    }
    return { connections: new Set(pids).size, total: pool.totalCount }
  },
  ping: async (pool) => ({ pid: await pidOf(pool) }),
  async crowd(pool) {
    await Promise.all(Array.from({ length: 20 }, () => pool.query('SELECT pg_sleep(0.02)')))
    return { max: pool.options.max, total: pool.totalCount }
  },
  /** Each chunk is read from the database when it is needed, long after the handler has returned. */
  async stream(pool) {
    const client = await pool.connect()
    let chunks = 0
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        controller.enqueue(new TextEncoder().encode(`${await pidOf(client)} `))
        chunks++
        if (chunks < 5) return
        client.release()
        controller.close()
      },
    })
    return new Response(body)
  },
  later(pool, _env, ctx, url) {
    ctx.waitUntil(
      pool.query('SELECT pg_sleep(0.2)').then(() => pool.query('INSERT INTO done VALUES ($1)', [url.searchParams.get('token')])),
    )
    return {}
  },
  /** A task that has the handler's client, and is handed to `waitUntil` by another task. */
  async 'later-still'(pool, _env, ctx) {
    const client = await pool.connect()
    const task = async () => {
      await pool.query('SELECT pg_sleep(0.1)')
      ctx.waitUntil(writeSlowly(client, 'later still'))
    }
    ctx.waitUntil(task())
    return {}
  },
  async leak(pool) {
    await pidOf(await pool.connect())
    return {}
  },
  /** The connection ends under a client in use, and the pool goes on. */
  async killed(pool) {
    const client = await pool.connect()
    const pid = await pidOf(client)
    const lost = client.query('SELECT pg_sleep(10)').catch((error: unknown) => error)
    await pool.query('SELECT pg_terminate_backend($1)', [pid])
    const error = await lost
    client.release()
    return { error: told(error), after: (await pidOf(pool)) > 0 }
  },
  async ended(pool) {
    const before = await pidOf(pool)
    await pool.end()
    return { same: before === (await pidOf(pool)) }
  },
  /** A write of the kind that is asked for, which is to be applied once. */
  async apply(_pool, _env, _ctx, url) {
    const token = url.searchParams.get('token') ?? ''
    const insert = { text: 'INSERT INTO done VALUES ($1) RETURNING token', values: [token] }
    const kinds: Readonly<Record<string, () => Promise<unknown>>> = {
      transaction: async () => (await thaw.transaction((client) => client.query(insert))).rows,
      once: async () => (await thaw.query({ ...insert, once: true })).rows,
      batch: async () => (await thaw.batch([insert]))[0]?.rows,
      key: async () => (await thaw.query({ ...insert, idempotencyKey: token })).rows,
    }
    return { rows: await kinds[url.searchParams.get('kind') ?? '']?.() }
  },
  drizzle: async () => ({ rows: (await db.execute('SELECT 1 AS one')).rows }),
  rolledBack: async () => ({
    told: await db
      .transaction((tx) => tx.execute("INSERT INTO done VALUES ('rolled back')").then(() => tx.rollback()))
      .catch((error) => error.name),
  }),
  invocation: () => ({ id: invocation()?.id, aborted: invocation()?.signal.aborted }),
  stats: () => thaw.stats(),
  new: async (_pool, env) => ({ pid: await pidOf(new pg.Pool({ connectionString: env.DATABASE_URL })) }),
  nowhere: () => nowhere.query('SELECT 1'),
  hyperdrive: async () => (await hyperdrive.query('SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()')).rows[0],
  missing: () => missing.query('SELECT 1'),
  empty: () => empty.query('SELECT 1'),
  'at-global-scope': () => {
    throw atGlobalScope
  },
  async hold(pool) {
    held = await pool.connect()
    return { pid: await pidOf(held) }
  },
  'use-held': () => held?.query('SELECT 1'),
  async 'hold-client'(pool, env) {
    heldClient = new (pool === thaw ? Client : pg.Client)(env.DATABASE_URL)
    await heldClient.connect()
    return { rows: (await heldClient.query(PID)).rows }
  },
  'use-held-client': () => heldClient?.query('SELECT 1'),
}

function told(error: unknown): unknown {
  if (!(error instanceof Error)) return { message: String(error) }
  return { name: error.name, message: error.message, ...(ThawError.is(error) && { kind: error.kind }) }
}

async function answer(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
  const url = new URL(request.url)
  const [, driver, name = ''] = url.pathname.split('/')
  const pool = poolOf({ ...env, DRIVER: driver === 'pg' ? 'pg' : 'thaw' })
  try {
    const found = await cases[name]?.(pool, env, ctx, url)
    return found instanceof Response ? found : Response.json(found ?? null)
  } catch (error) {
    return Response.json(told(error), { status: 500 })
  }
}

const app = new Hono<{ Bindings: Env }>()
app.use(thawMiddleware())
app.get('/hono/:name', (c) => answer(c.req.raw, c.env, c.executionCtx as ExecutionContext))

/** One connection for the object, however many requests it has. */
export class Counter extends DurableObject<Env> {
  override async fetch(request: Request): Promise<Response> {
    const [kind = ''] = new URL(request.url).pathname.slice(1).split('-')
    const pool = objectPools[kind]?.(this.env) ?? thaw
    return Response.json({ pid: await pidOf(pool), idle: pool.idleCount })
  }
}

class CountingObject extends Counter {
  #calls = 0

  async countLater(): Promise<void> {
    this.ctx.waitUntil(writeSlowly(await thaw.connect(), 'of an object'))
  }

  /** By RPC, and through another method. */
  async count(): Promise<{ calls: number; id: string | undefined; pids: number }> {
    const { pid } = await (await this.fetch(new Request('http://object/thaw'))).json<{ pid: number }>()
    return { calls: ++this.#calls, id: invocation()?.id, pids: new Set([await pidOf(thaw), pid]).size }
  }
}
export const WrappedCounter: typeof CountingObject = withThaw(CountingObject)

class ReportEntrypoint extends WorkerEntrypoint<Env> {
  async pid(): Promise<{ pid: number; id: string | undefined }> {
    return { pid: await pidOf(thaw), id: invocation()?.id }
  }
}
export const Report: typeof ReportEntrypoint = withThaw(ReportEntrypoint)

/** Each step writes what it has done; one of them is run twice. Between steps a workflow may sleep for days. */
class OrderingWorkflow extends WorkflowEntrypoint<Env, OrderPayload> {
  override async run({ payload: { token }, instanceId }: WorkflowEvent<OrderPayload>, step: WorkflowStep): Promise<unknown> {
    const write = (what: string) =>
      thaw.query({ text: 'INSERT INTO done VALUES ($1)', values: [`${token} ${what}`], idempotencyKey: `${instanceId} ${what}` })
    const inStep = await step.do('reserve', async () => {
      await write('reserved')
      return { id: invocation()?.id ?? 'none' }
    })
    await step.sleep('a moment', 50)
    let tries = 0
    await step.do('charge', { retries: { limit: 1, delay: 1 } }, async () => {
      await write('charged')
      if (++tries === 1) throw new Error('The first try fails when its work is done.')
    })
    await write('sent')
    return { id: invocation()?.id, inStep: inStep.id }
  }
}
export const Ordering: typeof OrderingWorkflow = withThaw(OrderingWorkflow)

/** Starts a workflow of that name, unless there is one, and says how it is. */
async function order(env: Env, id: string): Promise<Response> {
  const instance = await env.ORDERING.get(id).catch(() => env.ORDERING.create({ id, params: { token: id } }))
  return Response.json(await instance.status())
}

const handlers: ExportedHandler<Env, string> = withThaw({
  fetch: answer,
  async scheduled() {
    await thaw.query("INSERT INTO done VALUES ('scheduled')")
  },
  async queue(batch) {
    for (const { body } of batch.messages) await thaw.query('INSERT INTO done VALUES ($1)', [body])
  },
  async email(message) {
    await thaw.query('INSERT INTO done VALUES ($1)', [message.from])
  },
} satisfies ExportedHandler<Env, string>)

async function route(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
  const [, first, second = ''] = new URL(request.url).pathname.split('/')
  if (first === 'wrapped') return (await handlers.fetch?.(request as Parameters<typeof answer>[0] & never, env, ctx)) ?? Response.error()
  if (first === 'hono') return app.fetch(request, env, ctx)
  if (first === 'object') return env.COUNTER.getByName(second).fetch(`http://object/${second}`)
  if (first === 'wrapped-object') return Response.json(await env.WRAPPED_COUNTER.getByName('one').count())
  if (first === 'wrapped-object-later') return Response.json((await env.WRAPPED_COUNTER.getByName('one').countLater()) ?? null)
  if (first === 'entrypoint') return Response.json(await env.REPORT.pid())
  if (first === 'order') return order(env, second)
  if (first === 'send') return env.QUEUE.send(second).then(() => Response.json({}))
  return answer(request, env, ctx)
}

const worker: ExportedHandler<Env, string> = { ...handlers, fetch: route }
export default worker
