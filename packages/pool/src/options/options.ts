/** The options of a pool: node-postgres' own, by their names, and ours. */

import { type Clock, checkOptions, OptionError, type OptionRules, platformDefaults, systemClock } from '@thaw/core'
import type { PoolConfig } from 'pg'
import { leadsToHyperdrive } from './hyperdrive.ts'

/** What Thaw adds to node-postgres' options. */
export interface ThawOptions {
  /**
   * A connection that the server has proven alive less than this long ago is handed out unasked. Default 500: HikariCP's
   * figure, the shortest in the field. 0 asks every time.
   */
  readonly trustMillis?: number | undefined
  /**
   * How long an idle connection may take to answer when asked whether it lives, before it is destroyed. Default 1000: four times the longest hedge
   * delay. A busy pooler answers late (750 ms were seen). Callers wait so long only where no hedge is possible.
   */
  readonly probeTimeoutMillis?: number | undefined
  /**
   * Send the question whether a connection lives in the same flight as a read of `pool.query()`, in front of it. Default true. A read that has no
   * parameters then goes by the extended protocol. Never behind a pooler that was found out. Default false through Hyperdrive, where `Flush` is not reliable.
   */
  readonly piggybackProbe?: boolean | undefined
  /**
   * Keep what SCRAM makes of the password (4096 rounds of hashing by PostgreSQL's default), and compute it once for all dials that are given the same salt.
   * Default true. The keys are in no error, event or log, and end with the pool.
   */
  readonly cacheScramKeys?: boolean | undefined
  /**
   * Dial beside a connection that owes an answer for longer than usual (10 to 250 ms, learned from round trips), or beside a dial that takes longer than a
   * second, and take whichever is ready first. Default true. For at most `probeTimeoutMillis` the pool may have one connection above `max`. Extra dials are at most a tenth of the others, but for
   * one in 10 s.
   */
  readonly hedge?: boolean | undefined
  /**
   * How long the statement may go on that was still running when its client was given back, before the connection is
   * destroyed. Default 30 000. Until it ends the connection is lent to nobody.
   */
  readonly releaseTimeoutMillis?: number | undefined
  /**
   * Keep a connection after the server answered a statement of `pool.query()` with an ordinary error. Default false, as
   * node-postgres, which opens a new connection after each unique violation.
   */
  readonly keepOnSqlError?: boolean | undefined
  /** Time and chance. Default: the runtime's own. Inject another to test freezes without waiting for one. */
  readonly clock?: Clock | undefined
}

/** See {@link ThawOptions.trustMillis}. */
export const DEFAULT_TRUST_MILLIS = 500
/** See {@link ThawOptions.probeTimeoutMillis}. */
export const DEFAULT_PROBE_TIMEOUT_MILLIS = 1000

/** Long enough for a database that restarts or wakes up, short enough to end before most platforms end the request. */
const CONNECTION_TIMEOUT_MILLIS = 10_000

/**
 * Until the kernel asks a silent peer for a sign of life: the default of Linux is two hours. Node then asks every second, ten times, so that a
 * connection whose other end is gone dies after 20 s.
 */
const KEEP_ALIVE_MILLIS = 10_000

/** What a timer can hold: Node makes 1 ms of more, and pg-pool would end each connection as soon as it stands. */
const LONGEST_TIMER_MILLIS = 2 ** 31 - 1

const CLOCK_METHODS = ['wall', 'mono', 'setTimer', 'clearTimer', 'random'] as const satisfies readonly (keyof Clock)[]

const RULES: OptionRules = {
  trustMillis: { type: 'number', min: 0 },
  probeTimeoutMillis: { type: 'number', min: 1, max: 60_000 },
  cacheScramKeys: { type: 'boolean' },
  piggybackProbe: { type: 'boolean' },
  hedge: { type: 'boolean' },
  releaseTimeoutMillis: { type: 'number', min: 0 },
  keepOnSqlError: { type: 'boolean' },
  clock: {
    type: 'other',
    allowed: `an object with ${CLOCK_METHODS.map((name) => `${name}()`).join(', ')}`,
    accepts: (value) => CLOCK_METHODS.every((name) => typeof (value as Partial<Clock>)[name] === 'function'),
  },
  max: { type: 'number', min: 0, integer: true },
  poolSize: { type: 'number', min: 0, integer: true },
  min: { type: 'number', min: 0, integer: true },
  maxUses: { type: 'number', min: 0 },
  maxLifetimeSeconds: { type: 'number', min: 0, max: Math.floor(LONGEST_TIMER_MILLIS / 1000) },
  idleTimeoutMillis: { type: 'number', min: 0 },
  connectionTimeoutMillis: { type: 'number', min: 0, max: LONGEST_TIMER_MILLIS },
  // pg lets any other string pass, and ends the process with a TypeError once the server offers TLS.
  ssl: {
    type: 'other',
    allowed: "true, false, 'no-verify' or an object such as { ca }",
    accepts: (value) => !value || value === true || typeof value === 'object' || value === 'true' || value === 'no-verify',
  },
  // pg's, where a slip would be without a word: no database, no timeout, a process that never exits.
  connectionString: { type: 'any' },
  database: { type: 'any' },
  password: { type: 'any' },
  application_name: { type: 'any' },
  allowExitOnIdle: { type: 'any' },
  onConnect: { type: 'any' },
  query_timeout: { type: 'any' },
  statement_timeout: { type: 'any' },
  lock_timeout: { type: 'any' },
  idle_in_transaction_session_timeout: { type: 'any' },
  keepAliveInitialDelayMillis: { type: 'any' },
}

/** What Thaw adds to the configuration of one query: `pool.query({ text, values, ...options })`, `client.query({ … })`. */
export interface QueryOptions {
  /**
   * Sending the statement twice does no more harm than once. Then `pool.query()` sends it once more when its connection was lost under it, though
   * it may have been executed. Default: false. Reads need no such word.
   */
  readonly idempotent?: boolean | undefined
  /**
   * Ends the wait for a connection, or the statement itself: the server is asked to stop (CancelRequest), and the connection is closed. The caller is
   * rejected with the signal's reason; for a write that had been sent, with an `OutcomeUnknownError` that has it as its `cause`.
   */
  readonly signal?: AbortSignal | undefined
  /**
   * node-postgres' own option, for one statement or for all (as an option of the pool), in milliseconds: how long the server may take to answer.
   * Default: for ever. Then as with `signal`, with a `DeadlineError`. After a freeze an answer that has come in the meantime counts.
   */
  readonly query_timeout?: number | undefined
}

/** How to acquire a connection. */
export interface ConnectOptions {
  /** Whoever waits for a connection stops waiting when it aborts, and is rejected with its reason. Default: none. */
  readonly signal?: AbortSignal | undefined
}

/** What it must be is said by whoever listens to it. */
const CONNECT_RULES: OptionRules = { signal: { type: 'other', allowed: 'an AbortSignal', accepts: () => true } }

const END_RULES: OptionRules = { timeoutMillis: { type: 'number', min: 0 } }

/** How to end a pool. */
export interface EndOptions {
  /**
   * After this long, connections that are still in use are destroyed and `end()` resolves. Default: none, as
   * node-postgres, which waits until each client has been given back.
   */
  readonly timeoutMillis?: number | undefined
}

/** What a pool's own code reads of its options, each with its default. */
export interface Settings {
  readonly clock: Clock
  readonly trustMillis: number
  readonly probeTimeoutMillis: number
  readonly cacheScramKeys: boolean
  readonly piggybackProbe: boolean
  readonly hedge: boolean
  readonly releaseTimeoutMillis: number
  readonly keepOnSqlError: boolean
  /** Up to how many connections the pool may grow by itself. 0: not at all, its user has said how many. */
  readonly mostConnections: number
}

export function settingsOf(config: ThawOptions): Settings {
  return {
    clock: config.clock ?? systemClock,
    trustMillis: Number(config.trustMillis ?? DEFAULT_TRUST_MILLIS),
    probeTimeoutMillis: Number(config.probeTimeoutMillis ?? DEFAULT_PROBE_TIMEOUT_MILLIS),
    cacheScramKeys: config.cacheScramKeys ?? true,
    piggybackProbe: config.piggybackProbe ?? !leadsToHyperdrive(config as PoolConfig),
    hedge: config.hedge ?? true,
    releaseTimeoutMillis: Number(config.releaseTimeoutMillis ?? 30_000),
    keepOnSqlError: config.keepOnSqlError ?? false,
    mostConnections: isMaxGiven(config) ? 0 : platformDefaults().mostConnections,
  }
}

/** 0 stands for the default, as in node-postgres. */
function isMaxGiven(config: ThawOptions): boolean {
  const { max, poolSize } = config as { readonly max?: unknown; readonly poolSize?: unknown }
  return Number(max) > 0 || Number(poolSize) > 0
}

/**
 * Checks the options and fills in what depends on the platform.
 *
 * @throws {OptionError} naming the option, the value and what is allowed.
 */
export function preparePoolOptions(given?: (PoolConfig & ThawOptions) | null, Client?: unknown): object {
  const config = given ?? {}
  if (typeof config !== 'object') {
    throw new OptionError({
      option: 'config',
      allowed: 'an object',
      message: `new Pool() takes an object, but received a ${typeof config}. For a URL, write new Pool({ connectionString: url }).`,
    })
  }
  checkOptions(config, RULES, 'pass')
  const platform = platformDefaults()
  const prepared: Record<string, unknown> = { ...config }
  for (const [name, { type }] of Object.entries(RULES)) {
    // pg-pool takes '0' for a limit of nothing: no connection at all, or none that lives.
    if (type === 'number' && typeof prepared[name] === 'string') prepared[name] = Number(prepared[name])
  }
  // Not enumerable in the options of another pool, from which people make new ones.
  if ('password' in config) prepared['password'] = config.password
  if (Client) prepared['Client'] = Client
  prepared['max'] ||= prepared['poolSize'] || platform.max
  // null switches both off, as in node-postgres.
  if (prepared['idleTimeoutMillis'] === undefined) prepared['idleTimeoutMillis'] = platform.idleTimeoutMillis
  if (prepared['keepAlive'] === undefined) {
    prepared['keepAlive'] = true
    prepared['keepAliveInitialDelayMillis'] ??= KEEP_ALIVE_MILLIS
  }
  if (prepared['connectionTimeoutMillis'] === undefined) prepared['connectionTimeoutMillis'] = CONNECTION_TIMEOUT_MILLIS
  return prepared
}

/** @throws {OptionError} naming the option, the value and what is allowed. */
export function checkEndOptions(given: EndOptions | null): EndOptions {
  const options = given ?? {}
  checkOptions(options, END_RULES, 'refuse')
  return options
}

/** @throws {OptionError} naming an option that there is not. */
export function checkConnectOptions(options: ConnectOptions): ConnectOptions {
  checkOptions(options, CONNECT_RULES, 'refuse')
  return options
}
