/** `neon()`: statements over HTTP, one request each. */

import type * as driver from '@neondatabase/serverless'
import { type NeonQueryPromise, neonConfig, neon as stockNeon } from '@neondatabase/serverless'
import { type Clock, checkOptions, OptionError, type OptionRules, systemClock } from '@thaw/core'
import { checkSignal, type Target, wantsOnce } from '@thaw/pool'
import { checkConnectionString, checkParts, missingConnectionString } from './connection-string.ts'
import { abortedAsByDriver, wasRefused } from './http-failure.ts'
import { type HttpStatement, HttpStatements } from './http-statements.ts'

/** What Thaw adds to the options of one statement or transaction over HTTP. */
export interface HttpQueryOptions {
  /** Running it twice does no more harm than once: it is sent once more if its answer is lost. Default: false. Reads do not need it. */
  readonly idempotent?: boolean | undefined
  /**
   * Ends it: the request is aborted, which makes Neon cancel the statement. Rejects as with `query_timeout`, but with the signal's reason.
   * Default: none.
   */
  readonly signal?: AbortSignal | undefined
  /**
   * How long it may take, retries and cold starts included, in milliseconds. Default: 0, forever, as Neon's; an invocation's own deadline
   * still applies. After that: `DeadlineError`, or for a write that had been sent an `OutcomeUnknownError` with that as its `cause`.
   */
  readonly query_timeout?: number | undefined
}

/** What Thaw adds to the options of `neon()`. */
export interface HttpOptions extends Pick<HttpQueryOptions, 'query_timeout'> {
  /**
   * How long a request that reached no database is retried: refused, not resolved, throttled, a compute that does not wake up. In
   * milliseconds. Default: 10 000, as for a pool's connections; 0: forever. At most 800 while the address has never answered and may be
   * wrong: the name does not exist, or this machine itself refuses.
   */
  readonly connectionTimeoutMillis?: number | undefined
  /** Time and randomness. Default: the runtime's own. */
  readonly clock?: Clock | undefined
}

type Full<ArrayMode extends boolean, FullResults extends boolean> = FullResults extends true
  ? driver.FullQueryResults<ArrayMode>
  : driver.QueryRows<ArrayMode>

/** Neon's own query function, with {@link HttpQueryOptions} where it takes options. */
export interface DropInQueryFunction<ArrayMode extends boolean, FullResults extends boolean>
  extends Omit<driver.NeonQueryFunction<ArrayMode, FullResults>, 'query' | 'transaction'> {
  (strings: TemplateStringsArray, ...params: unknown[]): driver.NeonQueryPromise<ArrayMode, FullResults, Full<ArrayMode, FullResults>>
  query<ArrayModeOverride extends boolean = ArrayMode, FullResultsOverride extends boolean = FullResults>(
    queryWithPlaceholders: string,
    params?: unknown[],
    queryOpts?: driver.HTTPQueryOptions<ArrayModeOverride, FullResultsOverride> & HttpQueryOptions,
  ): driver.NeonQueryPromise<ArrayModeOverride, FullResultsOverride, Full<ArrayModeOverride, FullResultsOverride>>
  transaction: <ArrayModeOverride extends boolean = ArrayMode, FullResultsOverride extends boolean = FullResults>(
    queriesOrFn:
      | driver.NeonQueryPromise<ArrayMode, FullResults>[]
      | ((sql: driver.NeonQueryFunctionInTransaction<ArrayModeOverride, FullResultsOverride>) => driver.NeonQueryInTransaction[]),
    opts?: driver.HTTPTransactionOptions<ArrayModeOverride, FullResultsOverride> & HttpQueryOptions,
  ) => Promise<FullResultsOverride extends true ? driver.FullQueryResults<ArrayModeOverride>[] : driver.QueryRows<ArrayModeOverride>[]>
}

const RULES: OptionRules = {
  idempotent: { type: 'boolean' },
  query_timeout: { type: 'number', min: 0 },
  connectionTimeoutMillis: { type: 'number', min: 0 },
  clock: { type: 'object' },
}
const PATIENCE_MILLIS = 10_000

type Options = driver.HTTPTransactionOptions<boolean, boolean> & HttpOptions & HttpQueryOptions
type AnyPromise = NeonQueryPromise<boolean, boolean>
type AnyFunction = driver.NeonQueryFunction<boolean, boolean>

/** One for each endpoint, however often `neon()` is called: many handlers call it once per request. */
const endpoints = new Map<string, HttpStatements>()

/**
 * Neon's `neon()`: the same function with the same answers, but requests are never lost silently.
 *
 * - A request that certainly reached no database is retried, writes too, until `connectionTimeoutMillis`: a network that is down, a compute
 *   that wakes up.
 * - A read whose answer was lost is retried once, inside a READ ONLY transaction; anything else only if it is `idempotent`.
 * - After a silence in which `fetch`'s sockets may have died, the request is sent on new ones (in Node, unless you have set a dispatcher).
 * - `query_timeout`, `signal` and the invocation's deadline bound it.
 *
 * A statement's promise rejects with `OutcomeUnknownError` if it may have been executed; with `ConnectionLostError` if nothing of it
 * remains; with `ConnectError` if no database was reached; with `DeadlineError`; and with the driver's `NeonDbError` for an error in the
 * answer.
 *
 * @throws {OptionError} naming an option that is impossible or misspelt, or what is wrong with the connection string.
 */
export function neon<ArrayMode extends boolean = false, FullResults extends boolean = false>(
  connectionString: string | undefined,
  options?: driver.HTTPTransactionOptions<ArrayMode, FullResults> & HttpOptions,
): DropInQueryFunction<ArrayMode, FullResults>
export function neon<ArrayMode extends boolean = false, FullResults extends boolean = false>(
  options: driver.HTTPTransactionOptions<ArrayMode, FullResults> & HttpOptions,
): DropInQueryFunction<ArrayMode, FullResults>
export function neon(first: string | undefined | Options, second: Options = {}): DropInQueryFunction<boolean, boolean> {
  const [url, options] = typeof first === 'object' && first !== null ? [undefined, first] : [first, second]
  checkConnectionString(url)
  checked(options)
  const hasParts = options.host !== undefined || options.hostname !== undefined || options.connectionString !== undefined
  if (url !== undefined && !hasParts && options.database === undefined && (options.user ?? options.username) === undefined) checkParts(url)
  const isLost = url === undefined && !hasParts
  const statements = endpointOf(url, options)
  const stock = (url === undefined ? stockNeon(options) : stockNeon(url, options)) as AnyFunction
  const run = <Result>(own: Options, parts: Pick<HttpStatement<Result>, 'texts' | 'isTransaction' | 'send' | 'sendReadOnly'>) => {
    if (isLost) return Promise.reject(missingConnectionString())
    const timeoutMillis = Number(own.query_timeout ?? options.query_timeout ?? 0)
    const theirs = own.signal === undefined ? checkSignal(own.fetchOptions?.['signal']) : undefined
    const signal = theirs ?? checkSignal(own.signal)
    const waitLimitMillis = Number(options.connectionTimeoutMillis ?? PATIENCE_MILLIS)
    const refused = (error: unknown) => wasRefused(error, own.fetchOptions)
    const bounds = { signal, timeoutMillis, waitLimitMillis }
    const result = statements.run<Result>({ ...parts, ...bounds, isIdempotent: own.idempotent === true, wasRefused: refused })
    return theirs ? result.catch((error: Error) => Promise.reject(abortedAsByDriver(theirs, error))) : result
  }
  /** The same promise; nothing is sent before it is awaited. */
  const guard = (promise: AnyPromise, given: Options): AnyPromise => {
    const own = { ...given, fetchOptions: { ...options.fetchOptions, ...given.fetchOptions } }
    const send = promise.execute
    promise.execute = (data, opts) =>
      run(own, {
        texts: [textOf(promise)],
        isTransaction: false,
        send: (fetchOptions) => send(data, bounded(own, opts as Options | undefined, fetchOptions)),
        sendReadOnly: async (fetchOptions) =>
          (await stock.transaction([promise], bounded({ ...own, readOnly: true }, undefined, fetchOptions)))[0],
      })
    return promise
  }
  const inside = Object.assign((strings: TemplateStringsArray, ...params: unknown[]) => stock(strings, ...params), {
    query: (text: string, params?: unknown[], own: Options = {}) => stock.query(text, params as unknown[], checked(own)),
    unsafe: stock.unsafe,
  }) as unknown as AnyFunction
  const sql = (strings: TemplateStringsArray, ...params: unknown[]) => guard(stock(strings, ...params), {})
  return Object.assign(sql, {
    query: (text: string, params?: unknown[], own: Options = {}) =>
      guard(stock.query(text, params as unknown[], own) as AnyPromise, checked(own)),
    unsafe: stock.unsafe,
    transaction: async (queries: AnyPromise[] | ((sql: AnyFunction) => AnyPromise[]), given: Options = {}) => {
      const own = { ...checked(given), fetchOptions: { ...options.fetchOptions, ...given.fetchOptions } }
      const all = typeof queries === 'function' ? queries(inside) : queries
      const send = (more: Options) => (fetchOptions: object) =>
        stock.transaction(all, bounded({ ...own, ...more }, undefined, fetchOptions))
      // Anything but a list of statements is the driver's to refuse.
      const texts = Array.isArray(all) ? all.map(textOf) : ['']
      return run(own, { texts, isTransaction: true, send: send({}), sendReadOnly: send({ readOnly: true }) })
    },
  }) as unknown as DropInQueryFunction<boolean, boolean>
}

function checked(own: Options): Options {
  checkOptions(own, RULES, 'pass')
  if (wantsOnce(own)) throw neverOnce('once' in own && own.once ? 'once' : 'idempotencyKey')
  return own
}

/** What was stored before is told by `repeated`, for which an array of rows has no place; and what its rows mean is told by a connection. */
function neverOnce(option: string): OptionError {
  return new OptionError({
    option,
    allowed: 'with pool.query() and pool.batch()',
    message: `Option "${option}" was given to neon(), which cannot keep it. Nothing was sent. Use a Pool: pool.query({ text, values, ${option} }), or pool.batch([…], { ${option} }). To neon(), leave it out.`,
  })
}

/** The caller's options, with ours for `fetch`. A `fetch` function of the caller's own gets no dispatcher from us. */
function bounded(own: Options, given: Options | undefined, fetchOptions: { readonly dispatcher?: object }): Options {
  const { dispatcher, ...others } = fetchOptions
  const chosen = { ...own.fetchOptions, ...given?.fetchOptions }
  const isOurs = dispatcher !== undefined && neonConfig.fetchFunction === undefined && chosen['dispatcher'] === undefined
  return { ...own, ...given, fetchOptions: { ...chosen, ...others, ...(isOurs && { dispatcher }) } }
}

function textOf({ queryData }: AnyPromise): string {
  if (queryData === undefined) return ''
  return 'query' in queryData ? queryData.query : queryData.toParameterizedQuery().query
}

function endpointOf(url: string | undefined, options: Options): HttpStatements {
  const clock = options.clock ?? systemClock
  const target = targetOf(url, options)
  if (options.clock) return new HttpStatements(clock, target)
  const key = `${target.host}:${target.port}/${target.database}`
  const known = endpoints.get(key) ?? new HttpStatements(clock, target)
  endpoints.set(key, known)
  return known
}

/** For messages. If a function provides it, it is not known yet. */
function targetOf(url: string | undefined, { connectionString, host, hostname, port, database }: Options): Target {
  const text = typeof connectionString === 'string' ? connectionString : url
  const parsed = text !== undefined && URL.canParse(text) ? new URL(text) : undefined
  const said = [host, hostname].find((name) => typeof name === 'string')
  return {
    host: said ?? parsed?.hostname ?? 'Neon',
    port: Number(typeof port === 'function' ? 0 : port) || Number(parsed?.port) || 5432,
    database: typeof database === 'string' ? database : decodeURIComponent(parsed?.pathname.slice(1) ?? ''),
  }
}
