/** The options of a pool: node-postgres' own, by their names, and ours. */

import {
  type Clock,
  checkOptions,
  type FleetOptions,
  named,
  OptionError,
  type OptionRules,
  platformDefaults,
  systemClock,
} from '@thaw/core'
import type { PoolConfig } from 'pg'
import { planHosts } from './hosts.ts'
import { leadsToHyperdrive } from './hyperdrive.ts'
import { MILLIS, SERVER_MILLIS } from './times.ts'
import { CONNECTION_STRING, PORT, refuseMisplacedUrl } from './whereabouts.ts'

/** What Thaw adds to node-postgres' options. */
export interface ThawOptions {
  /**
   * A connection on which the server sent something less than this long ago is handed out without a probe. Default 500: HikariCP's figure,
   * the shortest in the field. 0 probes every time.
   */
  readonly trustMillis?: number | string | undefined
  /**
   * How long an idle connection may take to reply to a probe, before it is destroyed, in milliseconds. Default 1000: four times the longest
   * hedge delay. A busy pooler replies late (750 ms were seen). Callers wait this long only where no hedge is possible. A client that a caller
   * holds may take ten times as long, unless the server says that it rests, or is gone.
   */
  readonly probeTimeoutMillis?: number | string | undefined
  /**
   * Send a probe in the same write as a read of `pool.query()`, in front of it. Default true. A read that has no parameters then uses the
   * extended protocol. Never behind a pooler that was detected. Default false through Hyperdrive, where `Flush` is not reliable.
   */
  readonly piggybackProbe?: boolean | undefined
  /**
   * Keep SCRAM's keys, derived from the password (4096 rounds of hashing by PostgreSQL's default), and compute them once for all connection
   * attempts that receive the same salt. Default true. The keys are in no error, event or log, and end with the pool.
   */
  readonly cacheScramKeys?: boolean | undefined
  /**
   * Open another connection beside one whose reply is due for longer than usual (10 to 250 ms, learned from round trips), or beside a
   * connection attempt that takes longer than a second, and use whichever is ready first. Default true. For at most `probeTimeoutMillis`
   * the pool may have one connection above `max`. Extra attempts are at most a tenth of the needed ones, plus one in 10 s.
   */
  readonly hedge?: boolean | undefined
  /**
   * How long a statement still running at release may continue, before the connection is destroyed. Default 30 000. Until the statement
   * ends, the connection is handed to no caller.
   */
  readonly releaseTimeoutMillis?: number | string | undefined
  /**
   * Keep a connection after the server answered a statement of `pool.query()` with an ordinary error. Default false, as in node-postgres,
   * which opens a new connection after each unique violation.
   */
  readonly keepOnSqlError?: boolean | undefined
  /**
   * Share the server with other runtimes without a pooler: its sessions say in `application_name` that they belong together, and a new connection ends the
   * longest idle ones of the fleet where more than three quarters of the server's sessions are in use. Sessions that a caller has, or has left state on, are spared. Needs
   * PostgreSQL itself at the other end, and `trustMillis` of at most 500, and cannot be combined with node-postgres' `pipeline`. Default: none.
   */
  readonly fleet?: string | FleetOptions | undefined
  /**
   * Let reads of `pool.query()` share a connection with others whose answers are still awaited, where no connection is idle, or several that take the server
   * next to no time are issued in one moment: each is sent at once, and answered in its turn. Only single reads in autocommit, never on a connection with state of its session. `true`: always. `'auto'`: once it is proven that PostgreSQL itself is at
   * the other end, because poolers lose statements that are sent ahead. `false`: never. Default `'auto'`; false through
   * Hyperdrive, which pools transactions.
   */
  readonly share?: 'auto' | boolean | undefined
  /**
   * Prepare a text with values by itself once `pool.query()` has sent it this many times: each connection parses it once more, under a name,
   * and from then on only executes it. At most 100 texts of a pool have a name. Never behind a pooler that was detected, nor through
   * Hyperdrive, nor while a tool wraps `client.query`. Default: never.
   */
  readonly prepare?: number | string | undefined
  /**
   * Which sessions to accept, as with libpq: with `host: 'a,b'`, `postgres://a:5432,b:5432/app` or `PGHOST=a,b`, hosts are tried in order until one has such a session. `'prefer-standby'`
   * takes any if no host is a standby. Default `'any'`. Not over Neon or on Workers.
   */
  readonly target_session_attrs?: 'any' | 'read-write' | 'read-only' | 'primary' | 'standby' | 'prefer-standby' | undefined
  /** With several hosts, `'random'` tries them in a random order for each connection. Default `'disable'`: in the order given, as with libpq. */
  readonly load_balance_hosts?: 'disable' | 'random' | undefined
  /** Time and randomness. Default: the runtime's own. Inject another to test a freeze without waiting for one. */
  readonly clock?: Clock | undefined
}

/** See {@link ThawOptions.trustMillis}. */
const DEFAULT_TRUST_MILLIS = 500
/** See {@link ThawOptions.probeTimeoutMillis}. */
const DEFAULT_PROBE_TIMEOUT_MILLIS = 1000

/** Long enough for a database that restarts or wakes up, short enough to end before most platforms end the request. */
const CONNECTION_TIMEOUT_MILLIS = 10_000

/**
 * When the kernel first probes a silent peer: the default of Linux is two hours. Node then probes every second, ten times, so that a
 * connection whose other end is gone dies after 20 s.
 */
const KEEP_ALIVE_MILLIS = 10_000

/** The most that a timer can hold: Node turns anything longer into 1 ms, and pg-pool would end each connection as soon as it is open. */
const LONGEST_TIMER_MILLIS = 2 ** 31 - 1

const CLOCK_METHODS = ['wall', 'mono', 'setTimer', 'clearTimer', 'random'] as const satisfies readonly (keyof Clock)[]

/** Those of a client that belongs to no pool. */
const ALONE_RULES: OptionRules = {
  connectionString: CONNECTION_STRING,
  port: PORT,
  trustMillis: { type: 'number', min: 0 },
  probeTimeoutMillis: { type: 'number', min: 1, max: 60_000 },
}

const RULES: OptionRules = {
  ...ALONE_RULES,
  cacheScramKeys: { type: 'boolean' },
  piggybackProbe: { type: 'boolean' },
  hedge: { type: 'boolean' },
  releaseTimeoutMillis: { type: 'number', min: 0 },
  keepOnSqlError: { type: 'boolean' },
  // Checked with its surroundings, see `fleetOf`.
  fleet: { type: 'any' },
  share: { type: 'other', allowed: "true, false or 'auto'", accepts: (value) => typeof value === 'boolean' || value === 'auto' },
  prepare: { type: 'number', min: 1, integer: true },
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
  // pg accepts any other string, and ends the process with a TypeError once the server offers TLS.
  ssl: {
    type: 'other',
    allowed: "true, false, 'no-verify' or an object such as { ca }",
    accepts: (value) => !value || value === true || typeof value === 'object' || value === 'true' || value === 'no-verify',
  },
  // pg's, where a typo would be silent: no database, no timeout, a process that never exits.
  // Checked with the hosts, see `planHosts`.
  target_session_attrs: { type: 'any' },
  load_balance_hosts: { type: 'any' },
  database: { type: 'any' },
  password: { type: 'any' },
  application_name: { type: 'any' },
  allowExitOnIdle: { type: 'any' },
  onConnect: { type: 'any' },
  query_timeout: MILLIS,
  statement_timeout: SERVER_MILLIS,
  lock_timeout: SERVER_MILLIS,
  idle_in_transaction_session_timeout: SERVER_MILLIS,
  keepAliveInitialDelayMillis: MILLIS,
}

/** What Thaw adds to the configuration of one query: `pool.query({ text, values, ...options })`, `client.query({ … })`. */
export interface QueryOptions {
  /**
   * Sending the statement twice does no more harm than once. `pool.query()` then sends it once more if its connection is lost, even though
   * it may have been executed. Default: false. Reads do not need it.
   */
  readonly idempotent?: boolean | undefined
  /**
   * Ends the wait for a connection, or the statement itself: the server is asked to stop (CancelRequest), and the connection is closed.
   * Rejects with the signal's reason; for a write that had been sent, with an `OutcomeUnknownError` that has it as its `cause`.
   */
  readonly signal?: AbortSignal | undefined
  /**
   * node-postgres' own option, for one statement or for all (as an option of the pool), in milliseconds: how long the server may take to
   * answer. Default: forever. After that, as with `signal`, but with a `DeadlineError`. After a freeze, an answer that has arrived in the
   * meantime counts.
   */
  readonly query_timeout?: number | undefined
}

/** How to acquire a connection. */
export interface ConnectOptions {
  /** A caller that waits for a connection stops waiting when it aborts, and is rejected with its reason. Default: none. */
  readonly signal?: AbortSignal | undefined
}

/** What it must be is checked where it is used. */
const CONNECT_RULES: OptionRules = { signal: { type: 'other', allowed: 'an AbortSignal', accepts: () => true } }

const END_RULES: OptionRules = { timeoutMillis: { type: 'number', min: 0 } }

/** How to end a pool. */
export interface EndOptions {
  /**
   * After this long, connections that are still in use are destroyed and `end()` resolves. Default: none, as in node-postgres, which waits
   * until each client has been released.
   */
  readonly timeoutMillis?: number | undefined
}

/** The options that the pool's own code reads, each with its default. */
export interface Settings {
  readonly clock: Clock
  readonly trustMillis: number
  readonly probeTimeoutMillis: number
  readonly cacheScramKeys: boolean
  readonly piggybackProbe: boolean
  /** `Flush` does what it should. Not through Hyperdrive, as far as is known. */
  readonly mayFlush: boolean
  readonly hedge: boolean
  readonly releaseTimeoutMillis: number
  readonly keepOnSqlError: boolean
  readonly share: 'auto' | boolean
  /** After how many uses a text is prepared by itself. 0: never. */
  readonly prepareAfter: number
  /** Up to how many connections the pool may grow by itself. 0: not at all, because its user has set `max`. */
  readonly mostConnections: number
}

export function settingsOf(config: ThawOptions): Settings {
  return {
    clock: config.clock ?? systemClock,
    ...proofOf(config),
    cacheScramKeys: config.cacheScramKeys ?? true,
    piggybackProbe: config.piggybackProbe ?? !leadsToHyperdrive(config as PoolConfig),
    mayFlush: config.piggybackProbe === true || !leadsToHyperdrive(config as PoolConfig),
    hedge: config.hedge ?? true,
    releaseTimeoutMillis: Number(config.releaseTimeoutMillis ?? 30_000),
    keepOnSqlError: config.keepOnSqlError ?? false,
    share: shareOf(config),
    prepareAfter: leadsToHyperdrive(config as PoolConfig) ? 0 : Number(config.prepare ?? 0),
    mostConnections: isMaxGiven(config) ? 0 : platformDefaults().mostConnections,
  }
}

/** In a fleet, `true` waits like 'auto' until PostgreSQL itself has replied: until then nothing may follow the look of the fleet. */
function shareOf(config: ThawOptions): Settings['share'] {
  const share = config.share ?? (leadsToHyperdrive(config as PoolConfig) ? false : 'auto')
  return share === true && config.fleet ? 'auto' : share
}

/** 0 means the default, as in node-postgres. */
function isMaxGiven(config: ThawOptions): boolean {
  const { max, poolSize } = config as { readonly max?: unknown; readonly poolSize?: unknown }
  return Number(max) > 0 || Number(poolSize) > 0
}

/**
 * Checks the options and fills in what depends on the platform.
 *
 * @throws {OptionError} naming the option, the value and what is allowed.
 */
export function preparePoolOptions(given?: (PoolConfig & ThawOptions) | null, Client?: unknown, choosesHost = false): object {
  const config = given ?? {}
  if (typeof config !== 'object') {
    throw new OptionError({
      option: 'config',
      allowed: 'an object',
      message: `new Pool() takes an object, but received ${named(config)}. For a URL, write new Pool({ connectionString: url }).`,
    })
  }
  checkOptions(config, RULES, 'pass')
  refuseMisplacedUrl(config)
  const platform = platformDefaults()
  const prepared: Record<string, unknown> = { ...config }
  for (const [name, { type }] of Object.entries(RULES)) {
    // pg-pool takes '0' for a limit of zero: no connection at all, or one that never lives.
    if (type === 'number' && typeof prepared[name] === 'string') prepared[name] = Number(prepared[name])
  }
  // Not enumerable in another pool's options, from which people make new ones.
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
  planHosts(prepared, choosesHost)
  return prepared
}

/** @throws {OptionError} naming the option, the value and what is allowed. */
export function checkEndOptions(given: EndOptions | null): EndOptions {
  const options = given ?? {}
  checkOptions(options, END_RULES, 'refuse')
  return options
}

/** @throws {OptionError} naming the option, the value and what is allowed. */
export function settingsAlone(config: Pick<ThawOptions, keyof Proof>): Proof {
  checkOptions(config, ALONE_RULES, 'pass')
  refuseMisplacedUrl(config)
  return proofOf(config)
}

type Proof = Pick<Settings, 'trustMillis' | 'probeTimeoutMillis'>

function proofOf({ trustMillis, probeTimeoutMillis }: Pick<ThawOptions, keyof Proof>): Proof {
  return {
    trustMillis: Number(trustMillis ?? DEFAULT_TRUST_MILLIS),
    probeTimeoutMillis: Number(probeTimeoutMillis ?? DEFAULT_PROBE_TIMEOUT_MILLIS),
  }
}

/** @throws {OptionError} naming an unknown option. */
export function checkConnectOptions(options: ConnectOptions): ConnectOptions {
  checkOptions(options, CONNECT_RULES, 'refuse')
  return options
}
