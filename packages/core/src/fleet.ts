/**
 * A fleet: runtimes that share a server without a pooler. The name of each session says that it belongs to the fleet, and whether it may be
 * ended while idle. When the server is too full, a new connection ends the longest idle ones. Rules over values; a driver does what they
 * say.
 */

import { codeOf } from './classify.ts'
import { OptionError } from './errors.ts'
import { show } from './options.ts'

/** What the option `fleet` may be, besides just a name. */
export interface FleetOptions {
  /** The same in each runtime that shares its sessions with the others. Letters, digits, `.`, `_` and `-`. */
  readonly name: string
  /** How many sessions the fleet aims to have in all, in one database: idle ones above that are ended, and no connection is refused. Default: what the server, the database and the role allow. */
  readonly sessions?: number | string | undefined
  /** How many sessions may stay connected while idle. Default: as many as fit. 0: none, for databases that must go to sleep. */
  readonly keep?: number | string | undefined
}

/** The option, checked. */
export interface Fleet {
  readonly name: string
  readonly sessions: number | undefined
  readonly keep: number | undefined
}

/**
 * Above the first share of a limit, idle sessions are ended, down to the second. The remaining quarter is for runtimes that connect
 * meanwhile; ending many at once makes it rare. Where sessions that are not the fleet's hold more than the second share, both are shares of what those leave.
 */
export const FULL_SHARE = 0.75
export const ROOMY_SHARE = 0.5

/** The longest `trustMillis` of a member: the other members have to know when it no longer trusts a connection. */
export const FLEET_TRUST_MILLIS = 500
/**
 * A session that has been idle for longer than this, by the server's clock, is no longer trusted: its owner sends a probe first. One second
 * longer than the trust, because a statement may be sent a moment after the decision, and takes time to arrive.
 */
export const FLEET_LEASE_MILLIS = 1500
/**
 * A reply that took longer may have waited in the socket of a frozen process. The server may have been idle since the request was sent: the trust begins there.
 */
export const LATE_ANSWER_MILLIS = 250
/** What is sent this long after the trust began may arrive after the lease has ended. Half of the second is for the way. */
const SENT_IN_TIME_MILLIS = FLEET_TRUST_MILLIS + LATE_ANSWER_MILLIS

/**
 * With `keep: 0`, a session ends after this long: the server's `idle_session_timeout`. Longer than the lease, after which a session ends that could not
 * free enough: no other runtime waits for it here.
 */
export const SLEEP_MILLIS = 3000
/**
 * Where there is room, a resting session ends by itself after this long: strangers may take the room while all its fleet is frozen, and then no member
 * that is awake can log in to end anything. Long, because a session that is there when it is needed saves a login.
 */
export const LONG_SLEEP_MILLIS = 60_000
/**
 * And after this long where strangers have left little: above the first share, and none of the fleet's sessions is too many. Half of the time for which a call waits for a
 * connection by default, should they take the rest.
 */
export const TIGHT_SLEEP_MILLIS = 5000

/**
 * Where the server is full, and others are refused, an idle session is given up by its own pool after about this long. Longer than the pauses between the
 * statements of one request; much shorter than the lease.
 */
export const TURN_MILLIS = 100

/**
 * And a session that is never idle for that long is given up between two statements when its turn is over: so many milliseconds for each session that there may
 * be, within bounds. So a full server opens ten a second, whatever its size, or a third of them; one costs it about 10 ms of CPU time.
 */
const TURN_MILLIS_PER_SESSION = 100
const SHORTEST_TURN_MILLIS = 1000
const LONGEST_TURN_MILLIS = 3000

/**
 * How long a session that is always at work is kept where others are refused.
 *
 * @param sessions how many there may be.
 * @param random a number in [0, 1): runtimes that have found the server full at the same time do not reconnect at the same time.
 */
export function turnMillis(sessions: number, random: number): number {
  const mean = Math.min(LONGEST_TURN_MILLIS, Math.max(SHORTEST_TURN_MILLIS, sessions * TURN_MILLIS_PER_SESSION))
  return mean * (0.5 + random)
}

/** May what was sent at `sentMillis` after the trust began reach a session that has been ended? */
export function wasSentInTime(sentMillis: number): boolean {
  return sentMillis < SENT_IN_TIME_MILLIS
}

/** What PostgreSQL keeps of an `application_name` (NAMEDATALEN less one). */
const NAME_BYTES = 63
/** Since 16 it writes every other byte of it as `\\xc3`, and cuts off what is then too long: the name of the fleet. Before 16, `?`. */
const FIRST_PLAIN = 0x20
const LAST_PLAIN = 0x7e
const ESCAPE_BYTES = 4
const NAME = /^[A-Za-z0-9._-]+$/

const ALLOWED = 'a name, or { name, sessions?, keep? }'

/**
 * Checks the option.
 *
 * @throws {OptionError} naming the value and what is allowed.
 */
export function checkFleet(value: unknown): Fleet {
  const given = typeof value === 'string' ? { name: value } : value
  if (typeof given !== 'object' || given === null || Array.isArray(given) || given instanceof String) throw refuse('fleet', value, ALLOWED)
  const { name, sessions, keep, ...others } = given as Partial<Record<string, unknown>>
  for (const other of Object.keys(others)) {
    const allowed = 'name, sessions, keep'
    throw new OptionError({ option: `fleet.${other}`, allowed, message: `There is no option "fleet.${other}". Known options: ${allowed}.` })
  }
  if (typeof name !== 'string' || !NAME.test(name))
    throw refuse('fleet.name', name, 'a name of letters, digits, ".", "_" and "-", such as "orders"')
  return { name, sessions: countOf('sessions', sessions, 1), keep: countOf('keep', keep, 0) }
}

function countOf(option: string, value: unknown, least: number): number | undefined {
  if (value === undefined || value === null) return undefined
  const count = typeof value === 'string' && /^\s*\d+\s*$/.test(value) ? Number(value) : value
  // PostgreSQL's own limit, MAX_BACKENDS.
  if (typeof count === 'number' && Number.isInteger(count) && count >= least && count <= 262_143) return count
  throw refuse(`fleet.${option}`, value, `a whole number, from ${least} to 262143`)
}

function refuse(option: string, value: unknown, allowed: string): OptionError {
  return new OptionError({ option, allowed, message: `Option "${option}" is ${show(value)}, but must be ${allowed}.` })
}

/** The names of one member's sessions. */
export interface FleetNames {
  /** A session that may be ended once it has been idle for long enough. Those of other members end like this, too. */
  readonly resting: string
  /** A session that is spared: a caller has it, or has left session state. */
  readonly held: string
}

/** How the names of all sessions of the fleet end, whatever precedes that. */
export function fleetSuffixes({ name }: Pick<Fleet, 'name'>): FleetNames {
  return { resting: `fleet:${name}`, held: `fleet:${name}*` }
}

/**
 * The names, with the user's own `application_name` in front.
 *
 * @throws {OptionError} if that is longer than what PostgreSQL keeps.
 */
export function fleetNames(fleet: Pick<Fleet, 'name'>, applicationName: string | undefined): FleetNames {
  const { resting, held } = fleetSuffixes(fleet)
  const front = applicationName ? `${applicationName} ` : ''
  const escapes = bytesOf(front).filter((byte) => byte < FIRST_PLAIN || byte > LAST_PLAIN).length * (ESCAPE_BYTES - 1)
  const tooMany = bytesOf(front + held).length + escapes - NAME_BYTES
  if (tooMany <= 0) return { resting: front + resting, held: front + held }
  const spells = escapes > 0 ? ', and spells each byte that is not ASCII with four (\\xc3)' : ''
  throw new OptionError({
    option: 'fleet',
    allowed: `a name that fits into ${NAME_BYTES} bytes with application_name`,
    message: `Option "fleet": "${front}${held}" is too long for PostgreSQL by ${tooMany} ${tooMany === 1 ? 'byte' : 'bytes'}: it keeps ${NAME_BYTES} of application_name${spells}. Shorten ${front ? 'application_name, or ' : ''}the name of the fleet.`,
  })
}

/**
 * What the server calls a session: is it one of the fleet's? `names`: with what stands there now in front, because the user's code may have changed it. Undefined: they would not fit.
 */
export function readFleetName(
  fleet: Pick<Fleet, 'name'>,
  told: string,
): { readonly isMember: boolean; readonly names: FleetNames | undefined } {
  const ours = Object.values(fleetSuffixes(fleet))
  const isMember = ours.some((end) => told === end || told.endsWith(` ${end}`))
  // Of what it has read, code may keep our part, and put its own behind it.
  const front = told
    .split(' ')
    .filter((word) => !ours.includes(word))
    .join(' ')
    .trimEnd()
  try {
    return { isMember, names: fleetNames(fleet, front) }
  } catch {
    return { isMember, names: undefined }
  }
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** A pooler, recognised by its address. Its sessions are its own, and it does what a fleet is for. */
export function poolerAt(host: string, port: number | undefined): { readonly pooler: string; readonly instead: string } | undefined {
  const row = POOLERS.find(({ hosts, ports }) => hosts.test(host) && (!ports || (port !== undefined && ports.includes(port))))
  return row && { pooler: row.pooler, instead: row.instead }
}

interface PoolerRow {
  readonly pooler: string
  readonly hosts: RegExp
  readonly ports?: readonly number[]
  readonly instead: string
}

const KEEP_IT = 'Leave the option out: the pooler shares the sessions.'
/** By their documentation: https://neon.com/docs/connect/connection-pooling, https://supabase.com/docs/guides/database/connecting-to-postgres. */
const POOLERS: readonly PoolerRow[] = [
  {
    pooler: "Neon's pooler",
    hosts: /^[^.]+-pooler\..*(?:neon\.tech|postgres\.vercel-storage\.com)\.?$/i,
    instead: `${KEEP_IT} Or take the direct address, without "-pooler".`,
  },
  {
    pooler: 'Supavisor',
    hosts: /\.pooler\.supabase\.com\.?$/i,
    instead: `${KEEP_IT} Or take the direct connection, db.PROJECT.supabase.co.`,
  },
  { pooler: 'Hyperdrive', hosts: /\.hyperdrive\.local\.?$/i, instead: KEEP_IT },
  { pooler: 'RDS Proxy', hosts: /\.proxy-[a-z0-9]+\.[a-z0-9-]+\.rds\.amazonaws\.com(\.cn)?\.?$/i, instead: KEEP_IT },
  { pooler: 'PgBouncer', hosts: /\.supabase\.co\.?$/i, ports: [6543], instead: `${KEEP_IT} Or take port 5432.` },
]

/**
 * Neon's proxy gives each client one backend of its own, and invents the process id that it tells: `get_key` in proxy/src/cancellation.rs of
 * neondatabase/neon. So at these addresses the process id does not tell a pooler from a server. What is pooled has another name, see above. An address
 * without the endpoint's name is none of them: the endpoint in the option `options` may be the pooled one.
 */
const INVENTED = /^ep-[^.]+\..*(?:neon\.tech|postgres\.vercel-storage\.com)\.?$/i

/** Does the server's process id at this address differ from the one that the login tells, although no pooler is in between? */
export function inventsProcessIds(host: string): boolean {
  return INVENTED.test(host) && poolerAt(host, undefined) === undefined
}

/** What a look has found. */
export interface Census {
  /** Sessions, and how many there may be, by the limit that is nearest. */
  readonly used: number
  readonly limit: number
  /** How many were to be ended, and how many were. */
  readonly wanted: number
  readonly ended: number
}

/** Is there still too little room? Then it is worth looking again when leases have ended, and idle sessions must end by themselves. */
export function isCrowded({ wanted, ended }: Census): boolean {
  return wanted > ended
}

/** How the server ends an idle session: by `pg_terminate_backend`, or by its `idle_session_timeout`. */
const ENDED_IDLE: ReadonlySet<string | undefined> = new Set(['57P01', '57P05'])

/** Is that how a session of the fleet ends that may be ended? Then it is no error. */
export function isEviction(error: unknown): boolean {
  return ENDED_IDLE.has(codeOf(error))
}

/** Why a fleet continues without ending sessions. */
export type FleetTrouble =
  /** There is a pooler in between: the sessions are its own. */
  | 'pooler'
  /** The role may not look, or may not end sessions: any, or those of other roles in the fleet. */
  | 'no-right'
  /** The server has no such view or function: it is not PostgreSQL itself. */
  | 'no-function'
  /** Of sessions of the fleet, this role may not see whether they are idle; or `track_activities` is off. */
  | 'hidden'
  /** The user's code has changed `application_name`, to one with which the name of the fleet does not fit. The session is not counted in the fleet. */
  | 'name'
  /** `sessions` is more than the server, the database or the role allow. The smaller one counts. */
  | 'sessions-above-limit'
  /** The look failed otherwise. */
  | 'failed'

/** What the failure of a look means. */
export function troubleOf(error: unknown): FleetTrouble {
  const code = codeOf(error)
  if (code === '42501') return 'no-right'
  return code?.startsWith('42') || code === '0A000' ? 'no-function' : 'failed'
}
