/** Poolers that refuse a login for the moment. They have messages for it but no code of their own: knowledge as data, each row with its source. */

import { codeOf, serverRefusalOf } from '@thaw/core'

/** PgBouncer 1.25, src/client.c, src/janitor.c and src/objects.c: 08P01, protocol violation, whatever the reason. */
const PGBOUNCER = '08P01'
/** Supavisor, lib/supavisor/errors/*.ex, and Neon's proxy, proxy/src/error.rs: XX000, internal error, whatever the reason. */
const INTERNAL = 'XX000'
/** pgcat 1.3, src/messages.rs: 58000, system error, whatever the reason. */
const PGCAT = '58000'
/** RDS Proxy: its documentation lists the words, and no codes. */
const ANY = undefined

const ROWS: readonly (readonly [code: string | undefined, words: string])[] = [
  // https://www.pgbouncer.org/config.html#max_client_conn
  [PGBOUNCER, 'no more connections allowed'],
  // https://www.pgbouncer.org/config.html#max_db_client_connections, and its sibling for users. Since 1.24.
  [PGBOUNCER, 'client connections exceeded'],
  // https://www.pgbouncer.org/config.html#server_login_retry
  [PGBOUNCER, 'server login has been failing'],
  // The same, of older versions, and as an ERROR: https://docs.gitlab.com/administration/postgresql/replication_and_failover_troubleshooting/
  [PGBOUNCER, 'pgbouncer cannot connect to server'],
  // https://www.pgbouncer.org/config.html#query_wait_timeout: a login waits for a server connection, too.
  [PGBOUNCER, 'query_wait_timeout'],
  // https://supabase.com/docs/guides/database/supavisor: in the words before there were codes, and with them.
  [INTERNAL, 'Max client connections reached'],
  [INTERNAL, 'MaxClientsInSessionMode'],
  [INTERNAL, '(EMAXCONN'],
  [INTERNAL, '(ECHECKOUTTIMEOUT)'],
  [INTERNAL, '(ECHECKOUTRETRIES)'],
  [INTERNAL, '(EDBHANDLEREXITED)'],
  // Of 2026 (03e5cc56), each a file in lib/supavisor/errors: no room for another pool, one that is being replaced, a node that is going.
  [INTERNAL, '(EMAXPOOLSREACHED)'],
  [INTERNAL, '(EPOOLCHECKOUT)'],
  [INTERNAL, '(EPOOLTERMINATING)'],
  [INTERNAL, '(EPROXYSTARTFAILED)'],
  [INTERNAL, '(EPROXYSUPERVISORUNAVAILABLE)'],
  [INTERNAL, '(ESUBSCRIBERETRIES)'],
  [INTERNAL, '(EWORKERNOTFOUND)'],
  // It looks up the password in the database, which is full or away: auth_query_error.ex.
  [INTERNAL, 'auth_query connection failed'],
  [INTERNAL, 'auth_query secret check timed out'],
  [INTERNAL, 'connection to database not available'],
  // For 30 s, after a hundred failures: lib/supavisor/circuit_breaker.ex. After wrong passwords it says something else.
  [INTERNAL, 'too many failed attempts to connect to the database'],
  // https://github.com/supabase/supavisor/issues/459
  [INTERNAL, 'DbHandler exited'],
  // https://neon.com/docs/connect/connection-errors; a compute that wakes up.
  [INTERNAL, "Couldn't connect to compute node"],
  [INTERNAL, 'Control plane request failed'],
  [INTERNAL, 'Failed to acquire permit to connect to the database'],
  // Its limits on attempts: proxy/src/auth/mod.rs, proxy/src/control_plane/errors.rs.
  [INTERNAL, 'Too many connections to this endpoint. Please try again later.'],
  [INTERNAL, 'Too many connections attempts'],
  // https://github.com/postgresml/pgcat/blob/5b038813/src/client.rs: its servers could not be reached when it was asked; it is stopping.
  [PGCAT, 'Pool down for database'],
  [PGCAT, 'terminating connection due to administrator command'],
  // https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.troubleshooting.html, "Common issues when connecting to a PostgreSQL proxy".
  [ANY, 'Timed-out waiting to acquire database connection'],
  [ANY, 'The maximum number of client connections to the proxy exceeded'],
  [ANY, 'Rate of connection to proxy exceeded'],
  [ANY, 'The IAM authentication failed because of too many competing requests'],
]

/** Of these: it is not full, its server is away. */
const GONE = /server login has been failing|pgbouncer cannot connect to server|Pool down for database|Couldn't connect to compute node/i

/** What these say of a reason that waiting does not cure, in the server's own message or in Neon's. */
const LASTING = /password authentication failed|does not exist|no such user|endpoint is disabled|quota|limit exceeded/i

/** Poolers do not translate it. ERROR: older versions of PgBouncer, which end the session with it as well. */
const SEVERITIES: readonly unknown[] = ['FATAL', 'ERROR']

/** Did a pooler refuse a login for a reason that may pass? */
export function saysPoolerIsFull(error: unknown): boolean {
  if (!(error instanceof Error) || !SEVERITIES.includes((error as { severity?: unknown }).severity) || LASTING.test(error.message))
    return false
  const code = codeOf(error)
  if (code === INTERNAL && serverRefusalOf(error) !== undefined) return true
  const said = error.message.toLowerCase()
  return ROWS.some(([its, words]) => (its === ANY || its === code) && said.includes(words.toLowerCase()))
}

/** Did a pooler say that it has no server? A login, and a statement, get the same words. */
export function saysServerIsGone(error: unknown): boolean {
  return saysPoolerIsFull(error) && GONE.test((error as Error).message)
}
