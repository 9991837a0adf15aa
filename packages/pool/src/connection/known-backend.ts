/** Which backend of which server a connection leads to, where that was asked on the connection itself. */

import type { Incarnation } from '@thaw/core'

export interface KnownBackend {
  /** Its real process id. A pooler invents the one that is told at login. */
  readonly pid: string
  /** When it began, as an opaque text: process ids are used again. */
  readonly startedAt: string
  /** Of its server. Undefined where the server does not tell all of it: then nothing can be concluded from transaction ids. */
  readonly incarnation: Incarnation | undefined
  readonly isStandby: boolean
  /** Is the table of idempotency keys there? See `transaction/key-table.ts`. Undefined: on a standby, which takes no rows. */
  readonly hasKeyTable: boolean | undefined
}

/** Not the server's own output of times, which depends on the session's TimeZone and DateStyle. */
export const stamp = (time: string): string => `to_char(${time} AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')`

export const BACKEND_START: string = stamp('backend_start')
export const POSTMASTER_START: string = stamp('pg_postmaster_start_time()')

/** For the list of a SELECT. The timeline cannot be asked of a standby. */
export const SYSTEM = '(SELECT system_identifier::text FROM pg_control_system()) AS system'
export const TIMELINE = 'CASE WHEN pg_is_in_recovery() THEN NULL ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END AS timeline'

/** Does a COMMIT of its server wait for a standby? For the list of a SELECT, as text. */
export const WAITS: string = "(coalesce(current_setting('synchronous_standby_names', true), '') <> '')::text AS waits"
