/** `neonConfig.poolQueryViaFetch`: statements of a pool that are sent over HTTP. */

import { neonConfig, type Pool as StockPool } from '@neondatabase/serverless'
import { systemClock } from '@thaw/core'
import {
  address,
  answerBy,
  type BatchOptions,
  behindProxies,
  type Callback,
  checkNames,
  failLater,
  KEPT,
  misplacedOptions,
  promisify,
  type QueryResult,
  RequestBatches,
  type ThawOptions,
  wantsOnce,
} from '@thaw/pool'
import { checkConnectionString } from './connection-string.ts'
import { type HttpQueryOptions, neon } from './neon.ts'

/** What is read of a pool. */
interface FetchingPool {
  readonly Promise: PromiseConstructor
  readonly options: object
  readonly hasFetchUnsupportedListeners: StockPool['hasFetchUnsupportedListeners']
  readonly Client: new (options: object) => Target
  query(text: unknown, values?: unknown, callback?: Callback<QueryResult>): unknown
  batch(statements: readonly unknown[], options?: object): Promise<unknown[]>
  outcome(error: unknown): Promise<unknown>
  createIdempotencyTable(): Promise<void>
}

interface Target {
  readonly user: string
  readonly password: unknown
  readonly host: string
  readonly port: number
  readonly database: string
  /** What pg would send in its StartupMessage: the pool's options, those of its URL and of the environment. */
  readonly connectionParameters: Readonly<Record<string, unknown>>
}

interface Config extends HttpQueryOptions {
  readonly text: string
  readonly values?: unknown[]
  readonly rowMode?: string
  readonly types?: unknown
}

/** Extends a Thaw pool, on a process or on Workers. */
export function fetching(Base: new (source?: never) => object): new (source?: unknown) => object {
  const Housed = Base as unknown as new (source?: unknown) => FetchingPool
  class Pool extends Housed {
    // A literal: minifiers rename classes, and ORMs look for "Pool" in the name. Not a field: webpack's minifier turns it into an
    // assignment, which throws.
    static override get name(): string {
      return 'Pool'
    }

    /** Where these lead is known only inside a request: the pool's own connections go there. */
    readonly #isFunction: boolean
    /** Made when the first batch is sent. */
    #batches: RequestBatches | undefined

    constructor(source?: unknown) {
      checkSource(source)
      super(source)
      this.#isFunction = typeof source === 'function'
    }

    override query(text: unknown, values?: unknown, callback?: Callback<QueryResult>): unknown {
      // Who has a key has the table.
      const isTwoArguments = typeof values === 'function'
      let isHere: boolean
      try {
        if ((text as { idempotencyKey?: unknown } | null)?.idempotencyKey !== undefined) this.#batches?.lookAgain()
        isHere = !this.#isFunction && isFetched(this, text)
        if (isHere) checkNames(text)
      } catch (thrown) {
        // A getter of the caller's, or a Proxy.
        return failLater(this.Promise, isTwoArguments ? (values as Callback<QueryResult>) : callback, thrown)
      }
      if (!isHere || misplacedOptions(callback)) return super.query(text, values, callback)
      const promised = promisify(this.Promise, isTwoArguments ? (values as Callback<QueryResult>) : callback)
      answerBy(
        queryByFetch(this, text as string | Config, isTwoArguments ? undefined : (values as unknown[])) as Promise<QueryResult>,
        promised,
      )
      return promised.result
    }

    /** Over HTTP too, as Neon's `sql.transaction()`: one request. With `once` or a key it takes a connection. */
    override batch(statements: readonly (string | Config)[], options: BatchOptions = {}): Promise<unknown[]> {
      if (options?.idempotencyKey !== undefined) this.#batches?.lookAgain()
      const isPlain = Array.isArray(statements) && statements.length > 0 && Object.entries(options ?? {}).every(isOfRequests)
      const isFit = isPlain && !this.#isFunction && isFetched(this, statements[0])
      if (!isFit || new Set(statements.map(isInArrays)).size > 1) return super.batch(statements, options)
      return this.#byRequest.send(statements, options)
    }

    get #byRequest(): RequestBatches {
      this.#batches ??= new RequestBatches({
        clock: (this.options as ThawOptions).clock ?? systemClock,
        where: () => address(new this.Client(this.options)),
        send: (configs, signal) => batchByFetch(this, configs as readonly (string | Config)[], signal),
        repeat: (configs, kept, signal) => super.batch(configs, { signal, [KEPT]: kept }),
      })
      return this.#batches
    }

    override outcome(error: unknown): Promise<unknown> {
      return this.#batches?.outcome(error) ?? super.outcome(error)
    }

    override async createIdempotencyTable(): Promise<void> {
      await super.createIdempotencyTable()
      this.#byRequest.noteMade()
    }
  }

  return behindProxies(Pool)
}

function isOfRequests([name, value]: [string, unknown]): boolean {
  return name === 'signal' || (value === false && (name === 'once' || name === 'idempotencyKey'))
}

/** Neon answers all of a transaction in one form. A batch of both takes a connection. */
function isInArrays(statement: string | Config): boolean {
  return typeof statement === 'object' && statement?.rowMode === 'array'
}

/** What can be checked before there is a request: nothing that comes from a binding. */
function checkSource(source: unknown): void {
  if (typeof source === 'string') checkConnectionString(source)
  else if (typeof source === 'object' && source !== null && !('connect' in source))
    checkConnectionString((source as { connectionString?: unknown }).connectionString)
}

/** By Neon's own rule: switched on, and there is no listener that would never be called. What is to be applied once takes a connection: HTTP has no session to ask about. */
function isFetched({ hasFetchUnsupportedListeners }: FetchingPool, text: unknown): boolean {
  return neonConfig.poolQueryViaFetch && !hasFetchUnsupportedListeners && typeof text !== 'function' && !wantsOnce(text)
}

async function queryByFetch(pool: FetchingPool, query: string | Config, values: unknown[] | undefined): Promise<unknown> {
  const config: Config = typeof query === 'string' ? { text: query } : query
  const { idempotent, signal } = config
  const own = { idempotent, signal, ...(config.query_timeout !== undefined && { query_timeout: config.query_timeout }) }
  const types = (config.types ?? (pool.options as { types?: unknown }).types) as never
  return sqlOf(pool, config.rowMode).query(config.text, values ?? config.values ?? [], { types, ...own })
}

async function batchByFetch(
  pool: FetchingPool,
  statements: readonly (string | Config)[],
  signal: AbortSignal | undefined,
): Promise<unknown[]> {
  const sql = sqlOf(pool, statements.some(isInArrays) ? 'array' : undefined)
  const { types } = pool.options as { types?: unknown }
  // The longest, as on a connection.
  const query_timeout = statements.reduce<number>(
    (most, statement) => Math.max(most, Number((statement as Partial<Config>).query_timeout) || 0),
    0,
  )
  const all = statements.map((statement) => {
    const config: Config = typeof statement === 'string' ? { text: statement } : statement
    return sql.query(config.text, config.values ?? [], { types: (config.types ?? types) as never })
  })
  return (await sql.transaction(
    all as never,
    { ...(signal && { signal }), ...(query_timeout > 0 && { query_timeout }) } as never,
  )) as unknown as unknown[]
}

function sqlOf({ options, Client }: FetchingPool, rowMode: string | undefined) {
  const { clock, connectionTimeoutMillis, query_timeout } = options as ThawOptions & Record<string, unknown>
  // A client that is never connected knows where the pool's options lead, including those from the environment.
  const { user, password, host, database, connectionParameters } = new Client(options)
  const login = typeof password === 'string' ? `${encodeURIComponent(user)}:${encodeURIComponent(password)}` : encodeURIComponent(user)
  const shared = { clock, connectionTimeoutMillis: connectionTimeoutMillis as number, query_timeout: query_timeout as number }
  return neon(`postgresql://${login}@${host}/${encodeURI(database)}${startupOf(connectionParameters)}`, {
    ...shared,
    ...(typeof password === 'function' && { password: password as () => string }),
    fullResults: true,
    arrayMode: rowMode === 'array',
  })
}

/** Server settings that pg sends by name. */
const SETTINGS = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'] as const

/**
 * The session's settings, which the driver's own mode drops: a statement that should end after five seconds would run forever. Neon's proxy
 * makes a StartupMessage of what follows the `?`: get_conn_info in proxy/src/serverless/sql_over_http.rs of neondatabase/neon.
 */
function startupOf(parameters: Readonly<Record<string, unknown>>): string {
  const settings = SETTINGS.filter((name) => parameters[name]).map((name) => `-c ${name}=${parameters[name]}`)
  const options = [...settings, parameters['options']].filter(Boolean).join(' ')
  const application = parameters['application_name'] || parameters['fallback_application_name']
  const given = Object.entries({ application_name: application, options }).filter(([, value]) => value)
  return given.length === 0 ? '' : `?${given.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join('&')}`
}
