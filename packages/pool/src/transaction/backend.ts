/** Who is at the other end of a connection: the backend, and the incarnation of its server. Asked once for each connection, in the flight of its first transaction. */

import { type Clock, codeOf, elapsedMillis, read } from '@thaw/core'
import { BACKEND_START, type KnownBackend, POSTMASTER_START, SYSTEM, stamp, TIMELINE } from '../connection/known-backend.ts'
import { sendUnseen } from '../connection/unseen.ts'
import { VITALS, type Vitals } from '../connection/vitals.ts'
import type { PeerClient } from '../driver/peer.ts'
import { type FlightTag, tagging } from './flight-tag.ts'
import { KEY_TABLE } from './key-table.ts'

/** `startedAt`: undefined where the transaction has set a role that may not see when its own session began. */
export type Backend = Omit<KnownBackend, 'startedAt'> & { readonly startedAt: string | undefined }

/** Text as the server sends it, whatever parsers the user has: nothing of ours depends on them. A pool that reads in binary is given bytes, which are those of the text. */
export const RAW: { getTypeParser(): (value: unknown) => unknown } = { getTypeParser: () => String }

/** As an ordinary user, on PostgreSQL 13 and later. */
const WHO = `SELECT pg_backend_pid()::text AS pid,
  (SELECT ${BACKEND_START} FROM pg_stat_activity WHERE pid = pg_backend_pid()) AS started,
  pg_is_in_recovery()::text AS standby,
  (to_regclass('${KEY_TABLE}') IS NOT NULL)::text AS keys,
  ${SYSTEM},
  ${TIMELINE},
  (SELECT ${stamp('stats_reset')} FROM pg_stat_bgwriter) AS stats,
  (SELECT ${stamp('stats_reset')} FROM pg_stat_archiver) AS archiver,
  ${POSTMASTER_START} AS postmaster`

export const ASK_WHO: { readonly config: object } = { config: { text: WHO, types: RAW } }

/** The same, by which its transaction is found again. */
export function askWho(tag: FlightTag | undefined): { readonly config: object } {
  return tag ? { config: { text: `${WHO},\n  (${tagging(1)})::text AS tagged`, values: tag, types: RAW } } : ASK_WHO
}

interface Answer {
  readonly rows?: readonly Readonly<Record<string, string | null>>[]
}

/** Reads the answer to {@link ASK_WHO}. */
export function backendOf(answer: unknown): Backend | undefined {
  const row = (answer as Answer | undefined)?.rows?.[0]
  if (!row?.['pid']) return undefined
  const { pid, started, standby, keys, system, timeline, stats, archiver, postmaster } = row
  const incarnation =
    system && timeline && stats && archiver && postmaster
      ? { system, timeline, statsSince: stats, archiverStatsSince: archiver, startedAt: postmaster }
      : undefined
  return {
    pid,
    startedAt: started ?? undefined,
    incarnation,
    isStandby: standby === 'true',
    hasKeyTable: standby === 'true' ? undefined : keys === 'true',
  }
}

/** Connections, locks, memory, an administrator or a signal: another time the same question has an answer. Classes of SQLSTATE. */
const MAY_PASS = /^(?:40|53|55|57)/

/** The server refused it, and will the next time. */
export function isRefusedForGood(error: Error): boolean {
  return 'severity' in error && !MAY_PASS.test(codeOf(error) ?? '')
}

/** Not there, not allowed, or not supported. Any other error may be about the session: in a transaction that has failed the server refuses whatever it is asked. Classes of SQLSTATE. */
const CANNOT_TELL = /^(?:42|0A)/

/** The server refused our questions: this database has no such functions, and need not be asked again. */
export function tellsNothing(error: Error): boolean {
  return 'severity' in error && CANNOT_TELL.test(codeOf(error) ?? '')
}

/** What is known of this connection from before. Undefined: ask, with the next transaction. */
export function knownBackend(client: PeerClient): KnownBackend | undefined {
  return vitalsOf(client)?.backend
}

export function noteBackend(client: PeerClient, backend: Backend | undefined): void {
  const vitals = vitalsOf(client)
  // Behind a pooler each transaction may have another backend. A standby may have been promoted by the next one.
  const isLasting = backend && !backend.isStandby && backend.pid === String(client.processID)
  if (vitals) vitals.backend = isLasting && isComplete(backend) ? backend : undefined
}

function isComplete(backend: Backend): backend is KnownBackend {
  return backend.startedAt !== undefined
}

/** A backend of which nothing was asked before it was lost: by what its login told, and by its age. */
export interface UnaskedBackend {
  readonly pid: string
  /** When the connection was opened, on both clocks. */
  readonly bornAt: Vitals['bornAt']
}

export function unaskedBackend(client: PeerClient): UnaskedBackend | undefined {
  const vitals = vitalsOf(client)
  return client.processID && vitals ? { pid: String(client.processID), bornAt: vitals.bornAt } : undefined
}

export function vitalsOf(client: PeerClient): Vitals | undefined {
  return (client as { [VITALS]?: Vitals })[VITALS]
}

/** In whole milliseconds. */
export function ageMillis(backend: UnaskedBackend, clock: Clock): number {
  return Math.round(elapsedMillis(backend.bornAt, read(clock)))
}

/** A question of ours: tracing tools, which are asked after the user's statements, do not see it. */
export function question(client: PeerClient, config: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    sendUnseen(client, { types: RAW, ...config }, undefined, (error, result) => (error ? reject(error) : resolve(result)))
  })
}
