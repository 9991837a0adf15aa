/**
 * What a member of a fleet asks the server in the same write as a statement, and how it has idle sessions ended: one statement, so that
 * nothing can happen between the two.
 */

import {
  type Census,
  FLEET_LEASE_MILLIS,
  type Fleet,
  FULL_SHARE,
  fleetSuffixes,
  LONG_SLEEP_MILLIS,
  ROOMY_SHARE,
  SLEEP_MILLIS,
  TIGHT_SLEEP_MILLIS,
} from '@thaw/core'

/**
 * Counts the sessions, and ends the longest idle ones of the fleet where there are too many, by whichever limit. Then names its own session, if `$9` says how.
 *
 * - `$1`: the backend, as the login told it. A pooler's is another one: then nothing is done. Null: the address is known to lead to one backend, and what
 *   the login tells is invented.
 * - `$2`, `$3`: how the names of the fleet end. Of others nothing is touched.
 * - Only of this database, only idle, only for longer than the lease, and only those that the server lets the role end, because one refusal fails the whole look: those of roles of
 *   which it is a member, or any with `pg_signal_backend`; those of a superuser only as a superuser.
 * - As the role that has logged in: with `SET ROLE` it could not even see its own sessions. Until the end of this transaction.
 * - None that holds an advisory lock, which a function may have taken unseen: that dies with its session.
 * - Each session is claimed first, by an advisory lock of this transaction, and looked at again. A runtime that wakes up takes the same lock before it trusts its session: either
 *   before the claim, and then the second look sees it; or after the end.
 * - Of the fleet count those that it may end or spare: what has its name in another database is as much a stranger as others are. Where strangers hold most of a limit,
 *   the shares are those of what they leave: of the whole, the fleet could never have so little that it would be enough.
 * - One look of the fleet at a time ends sessions, until those that it has told to end are gone, as a rule: another would count and end them again. One that comes
 *   meanwhile wants none.
 * - `$13`: the server has refused a connection a moment ago. Then it was full, whatever is counted: a quarter of the nearest limit is ended at least. What still logs in
 *   is seen since 18 only, as a slot: those of clients come first (InitProcGlobal in storage/lmgr/proc.c).
 * - Each session ends by itself, where the server can do that (since 14): one that could not free enough when its lease is over; with `keep: 0` a little later;
 *   after five seconds where others leave little room; otherwise after a minute. Unless the user's own `idle_session_timeout` is shorter.
 *
 * Every function, type and relation is that of `pg_catalog`, whatever the user's `search_path` and temporary objects say. Functions instead of the views
 * over them: a new session has no view's definition cached, and planning is most of what the look costs.
 *
 * A role that may not see the state of a session sees its name, its database and its owner all the same, so they are counted.
 */
export const LOOK = `
WITH login AS MATERIALIZED (
  SELECT CASE WHEN current_user <> session_user THEN pg_catalog.set_config('role', 'none', true) END AS role
), me AS MATERIALIZED (
  SELECT nullif(pg_catalog.length(coalesce(login.role, 'none')), 4) AS everyone, d.oid AS datid, r.oid AS usesysid, r.rolsuper AS super,
    coalesce(pg_catalog.pg_backend_pid() = $1::int, true) AS direct,
    pg_catalog.pg_has_role('pg_signal_backend', 'USAGE') AS signals, pg_catalog.current_setting('idle_session_timeout', true) AS own_timeout,
    pg_catalog.current_setting('max_connections')::int - pg_catalog.current_setting('superuser_reserved_connections')::int
      - coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::int AS most,
    CASE WHEN NOT r.rolsuper THEN nullif(d.datconnlimit, -1) END AS most_of_database,
    CASE WHEN NOT r.rolsuper THEN nullif(r.rolconnlimit, -1) END AS most_of_role,
    CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 180000 THEN pg_catalog.current_setting('max_connections')::int END AS slots,
    pg_catalog.pg_try_advisory_xact_lock($11::int + 1, pg_catalog.hashtext($2)) AS first
  FROM login, pg_catalog.pg_database d, pg_catalog.pg_roles r WHERE d.datname = pg_catalog.current_database() AND r.rolname = session_user
), there AS MATERIALIZED (
  SELECT s.pid, s.datid = me.datid AS near, s.usesysid = me.usesysid AS mine, s.usesysid, s.state, s.state_change,
    s.application_name = $2 OR pg_catalog.right(s.application_name, pg_catalog.length($2) + 1) = ' ' || $2 AS resting,
    s.application_name = $3 OR pg_catalog.right(s.application_name, pg_catalog.length($3) + 1) = ' ' || $3 AS held
  FROM me, LATERAL pg_catalog.pg_stat_get_activity(me.everyone) s WHERE s.datid IS NOT NULL AND coalesce(s.backend_type, 'client backend') = 'client backend'
), counted AS MATERIALIZED (
  SELECT greatest(pg_catalog.count(*), (SELECT pg_catalog.count(*) FROM me, pg_catalog.pg_stat_get_backend_idset() AS slot WHERE slot < me.slots)) AS used, pg_catalog.count(*) FILTER (WHERE near) AS used_of_database, pg_catalog.count(*) FILTER (WHERE mine) AS used_of_role,
    pg_catalog.count(*) FILTER (WHERE ours) AS used_of_fleet, pg_catalog.count(*) FILTER (WHERE NOT ours) AS others,
    pg_catalog.count(*) FILTER (WHERE near AND NOT ours) AS others_of_database, pg_catalog.count(*) FILTER (WHERE mine AND NOT ours) AS others_of_role,
    pg_catalog.count(*) FILTER (WHERE resting AND near) AS resting,
    pg_catalog.count(*) FILTER (WHERE held AND near AND pid <> pg_catalog.pg_backend_pid()) AS held
  FROM there, LATERAL (SELECT coalesce(near AND (resting OR held), false) AS ours) AS whose
), sleepers AS MATERIALIZED (
  SELECT t.pid, t.state_change, t.state, t.state IS NULL OR t.state = 'disabled' AS hidden,
    me.super OR (NOT coalesce((SELECT rolsuper FROM pg_catalog.pg_roles r WHERE r.oid = t.usesysid), true)
      AND (t.mine OR me.signals OR pg_catalog.pg_has_role(t.usesysid, 'USAGE'))) AS endable
  FROM there t, me WHERE me.direct AND t.near AND t.resting AND t.pid <> pg_catalog.pg_backend_pid()
), bounds AS MATERIALIZED (
  SELECT used, most, refuses, CASE WHEN others > most * $8::pg_catalog.float8 THEN others ELSE 0 END AS taken FROM (
    SELECT used, most, true AS refuses, others FROM counted, me UNION ALL SELECT used_of_database, most_of_database, true, others_of_database FROM counted, me
    UNION ALL SELECT used_of_role, most_of_role, true, others_of_role FROM counted, me UNION ALL SELECT used_of_fleet, $5::int, false, 0 FROM counted
  ) AS bound
), wanted AS MATERIALIZED (
  SELECT first::int * greatest((SELECT pg_catalog.max(used - taken - pg_catalog.floor((most - taken) * $8::pg_catalog.float8)) FROM bounds
      WHERE used - taken > (most - taken) * $7::pg_catalog.float8),
    (SELECT pg_catalog.ceil(most * ($7::pg_catalog.float8 - $8::pg_catalog.float8)) FROM bounds WHERE $13::bool AND refuses AND most > 0
      ORDER BY used::pg_catalog.float8 / most DESC LIMIT 1),
    (SELECT resting - $6::int FROM counted), 0)::int AS sessions FROM me WHERE direct
), locked AS MATERIALIZED (
  SELECT DISTINCT l.pid FROM pg_catalog.pg_lock_status() l WHERE (SELECT sessions FROM wanted) > 0 AND l.locktype = 'advisory'
), claimed AS MATERIALIZED (
  SELECT pid FROM (
    SELECT pid FROM sleepers WHERE endable AND state = 'idle' AND state_change < pg_catalog.clock_timestamp() - $4::pg_catalog.float8 * interval '1 second'
      AND pid NOT IN (SELECT pid FROM locked)
    ORDER BY state_change LIMIT (SELECT sessions FROM wanted)
  ) AS longest WHERE pg_catalog.pg_try_advisory_xact_lock($11::int, pid)
), ended AS MATERIALIZED (
  SELECT pg_catalog.count(*) FILTER (WHERE pg_catalog.pg_terminate_backend(s.pid)) AS sessions
  FROM (SELECT pg_catalog.count(*), pg_catalog.pg_stat_clear_snapshot()::pg_catalog.text AS cleared FROM claimed) AS c,
    LATERAL pg_catalog.pg_stat_get_activity(nullif(pg_catalog.length(c.cleared), 0)) AS s
  WHERE s.pid IN (SELECT pid FROM claimed) AND s.state = 'idle' AND s.state_change < pg_catalog.clock_timestamp() - $4::pg_catalog.float8 * interval '1 second'
), nearest AS (
  SELECT used, most FROM bounds WHERE most > 0 ORDER BY used::pg_catalog.float8 / most DESC LIMIT 1
), named AS MATERIALIZED (
  SELECT pg_catalog.set_config('application_name', $9, false) FROM me WHERE direct AND $9 IS NOT NULL
), tight AS MATERIALIZED (
  SELECT pg_catalog.count(*) AS bounds FROM bounds, ended WHERE taken > 0 AND used - sessions > most * $7::pg_catalog.float8
), sleep AS MATERIALIZED (
  SELECT CASE WHEN $6::int = 0 OR wanted.sessions > ended.sessions THEN $10
    WHEN tight.bounds > 0 THEN $14 ELSE $12 END AS millis FROM wanted, ended, tight
), ending AS MATERIALIZED (
  SELECT pg_catalog.set_config('idle_session_timeout', sleep.millis, false) FROM me, sleep
  WHERE direct AND $9 IS NOT NULL
    AND own_timeout::interval NOT BETWEEN interval '1 us' AND sleep.millis::int * interval '1 ms'
)
SELECT direct::int, nearest.used, nearest.most, coalesce((SELECT sessions FROM wanted), 0),
  (SELECT CASE WHEN sessions > 0 THEN sessions + pg_catalog.length(pg_catalog.pg_sleep(0.01)::pg_catalog.text) ELSE 0 END FROM ended),
  held + (SELECT pg_catalog.count(*) FROM sleepers WHERE pid IN (SELECT pid FROM locked)), (SELECT pg_catalog.count(*) FROM sleepers WHERE hidden),
  (SELECT pg_catalog.count(*) FROM sleepers WHERE NOT endable AND NOT hidden), ($5::int > least(me.most, most_of_database, most_of_role))::int,
  (SELECT pg_catalog.count(*) FROM named), (SELECT pg_catalog.count(*) FROM ending),
  (SELECT pg_catalog.count(*) FROM bounds WHERE refuses AND used >= most - most / 20), own_timeout, (SELECT bounds FROM tight)
FROM me, counted, nearest`

/** The first key of the advisory lock, beside the backend. Any number that is not used otherwise would do; this one is "thaw". The next one is that of the fleet. */
const LOCK_CLASS = String(0x74_68_61_77)

/** After an idle time, the session is certain to last once the server has replied to this. */
export const WAKE = 'SELECT pg_catalog.pg_advisory_xact_lock_shared($1::int, pg_catalog.pg_backend_pid())'
export const WAKE_VALUES: readonly string[] = [LOCK_CLASS]

/** The parameters of {@link LOOK}. `processID`: undefined if it is invented. `name`: the name of its own session from now on. */
export function lookValues(fleet: Fleet, processID: number | undefined, name: string | undefined, wasRefused: boolean): (string | null)[] {
  const { resting, held } = fleetSuffixes(fleet)
  const { sessions, keep } = fleet
  return [
    processID === undefined ? null : String(processID),
    resting,
    held,
    String(FLEET_LEASE_MILLIS / 1000),
    sessions === undefined ? null : String(sessions),
    keep === undefined ? null : String(keep),
    String(FULL_SHARE),
    String(ROOMY_SHARE),
    name ?? null,
    String(keep === 0 ? SLEEP_MILLIS : FLEET_LEASE_MILLIS),
    LOCK_CLASS,
    String(LONG_SLEEP_MILLIS),
    String(wasRefused),
    String(TIGHT_SLEEP_MILLIS),
  ]
}

/** What a session was before it looked. */
export interface Before {
  readonly former: 'resting' | 'held' | undefined
  readonly endedItself: boolean
}

/** What it returned. */
export interface Found extends Census {
  /** PostgreSQL itself is at the other end. */
  readonly isDirect: boolean
  /** Sessions of the fleet that are spared. */
  readonly spared: number
  /** Sessions of the fleet whose state cannot be seen; and those that this role may not end. */
  readonly hidden: number
  readonly barred: number
  /** More sessions were wanted than are allowed. */
  readonly isAboveLimit: boolean
  /** Not one session in twenty is free, by a limit at which the server refuses: `sessions` is only a goal. */
  readonly isFull: boolean
  /** Strangers hold most of a limit, and leave little of it. */
  readonly isTight: boolean
  /** Its own session ends by itself from now on. */
  readonly endsItself: boolean
  /** Its `idle_session_timeout` until now. Undefined: the server has none. */
  readonly timeoutBefore: string | undefined
}

/** Undefined: it returned nothing, or something else. */
export function foundIn(row: readonly (string | null)[] | undefined): Found | undefined {
  if (row?.length !== 14) return undefined
  const [direct, used, limit, wanted, ended, spared, hidden, barred, above, , ending, full] = row
    .slice(0, 12)
    .map((field) => Number(field ?? 0))
  return {
    isDirect: direct === 1,
    used: used ?? 0,
    limit: limit ?? 0,
    wanted: wanted ?? 0,
    ended: ended ?? 0,
    spared: spared ?? 0,
    hidden: hidden ?? 0,
    barred: barred ?? 0,
    isAboveLimit: above === 1,
    endsItself: ending === 1,
    isFull: Number(full) > 0,
    timeoutBefore: row[12] ?? undefined,
    isTight: Number(row[13]) > 0,
  }
}

/** Changes the name of its session. */
export const RENAME = "SELECT pg_catalog.set_config('application_name', $1, false)"
/** And it ends by itself after a time, unless it does so sooner. Returns what it had before, and what it has now: null if that has not changed. */
export const RENAME_AND_SLEEP = `SELECT pg_catalog.set_config('application_name', $1, false), own,
  CASE WHEN own::interval NOT BETWEEN interval '1 us' AND $2::pg_catalog.text::int * interval '1 ms' THEN pg_catalog.set_config('idle_session_timeout', $2, false) END
FROM (SELECT pg_catalog.current_setting('idle_session_timeout', true) OFFSET 0) AS settings (own)`
/** That time, where its name changes without a look. */
export function sleepOf({ keep }: Fleet, isTight: boolean): string {
  return String(keep === 0 ? SLEEP_MILLIS : isTight ? TIGHT_SLEEP_MILLIS : LONG_SLEEP_MILLIS)
}

/** And it no longer does, but has what it had before. */
export const RENAME_AND_WAKE =
  "SELECT pg_catalog.set_config('application_name', $1, false), pg_catalog.set_config('idle_session_timeout', $2, false)"
/** Where it is not known what it had before: as the user has it. Its caller may take a while. */
export const RENAME_AND_STAY = `SELECT pg_catalog.set_config('application_name', $1, false), pg_catalog.set_config(name, reset_val, false)
FROM pg_catalog.pg_settings WHERE name = 'idle_session_timeout'`
