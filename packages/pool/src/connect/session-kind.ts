/** Is a session of the wanted kind? libpq's `target_session_attrs`. */

import type { PeerClient } from '../driver/peer.ts'
import { connectionOf } from '../driver/socket.ts'
import type { HostPlan, SessionKind } from '../options/hosts.ts'
import { isDirect, isDoubted, isPooled, mayBePooled, notePid } from './host-facts.ts'

/** The host's session is not what `target_session_attrs` asks for: another host may have it, or this one a little later. */
export class WrongSessionError extends Error {
  constructor(wants: SessionKind) {
    super(`the session is not ${wants === 'primary' || wants === 'standby' ? `on a ${wants}` : wants} (target_session_attrs=${wants})`)
    this.name = 'WrongSessionError'
  }
}

/** What the server reports at login, from PostgreSQL 14 on. */
interface Reported {
  in_hot_standby?: string
  default_transaction_read_only?: string
}

/** Undefined: it takes a question. */
function isOfKind(wants: SessionKind, { in_hot_standby: standby, default_transaction_read_only: readOnly }: Reported): boolean | undefined {
  if (standby === undefined) return undefined
  if (wants === 'primary' || wants === 'standby') return (standby === 'on') === (wants === 'standby')
  if (readOnly === undefined) return undefined
  return (standby === 'on' || readOnly === 'on') === (wants === 'read-only')
}

/** To be called before the client connects. What it returns is to be called afterwards. */
export function watchKind(client: PeerClient, wants: SessionKind, plan: HostPlan): (done: (error: Error | undefined) => void) => void {
  // A pooler that has lost its server lets everyone in.
  if (wants === 'any') return (done) => (isPooled(plan) && plan.steps.length > 1 ? ask(client, wants, plan, done) : done(undefined))
  const reported: Record<string, string> = {}
  const note = (message: { parameterName: string; parameterValue: string }) => {
    reported[message.parameterName] = message.parameterValue
  }
  connectionOf(client)?.on('parameterStatus', note)
  return (done) => {
    connectionOf(client)?.off('parameterStatus', note)
    const known = isOfKind(wants, reported)
    if (known !== undefined && isTrue(known, client, plan)) return done(known ? undefined : new WrongSessionError(wants))
    ask(client, wants, plan, done)
  }
}

/**
 * Is the report to be believed? A pooler repeats what its server was when it first saw it, so a primary might be refused for ever. A host is refused
 * only on the word of PostgreSQL itself; accepted on its report, unless there is reason for doubt.
 */
function isTrue(isRight: boolean, { processID }: PeerClient, plan: HostPlan): boolean {
  return isDirect(plan) || (isRight && !mayBePooled(plan, processID) && !isDoubted(plan))
}

/** Before PostgreSQL 14, and behind poolers. */
function ask(client: PeerClient, wants: SessionKind, plan: HostPlan, done: (error: Error | undefined) => void): void {
  const isRole = wants === 'primary' || wants === 'standby'
  const found = isRole
    ? `CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'on' ELSE 'off' END`
    : `pg_catalog.current_setting('transaction_read_only')`
  const text = `SELECT ${found} AS found, pg_catalog.pg_backend_pid()::text AS pid`
  client.query<{ found: string; pid: string }>(text, (error, result) => {
    if (error) return done(error)
    const row = result.rows[0]
    notePid(plan, client.processID, row?.pid)
    const isRight = wants === 'any' || (row?.found === 'on') === (wants === 'standby' || wants === 'read-only')
    done(isRight ? undefined : new WrongSessionError(wants))
  })
}
