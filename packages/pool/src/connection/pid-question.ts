/**
 * Which backend is it that answers? Asked in the flight of a statement, in front of it and under the same Sync, so that it costs no round trip and no pooler
 * can lose what is behind it. A pooler invents the pid that it gives at login, so the two differ.
 */

import { activeQueryOf } from '../driver/peer.ts'
import { parseBindExecute } from './extended-query.ts'
import type { Vitals } from './vitals.ts'

export const PID_QUESTION: Uint8Array<ArrayBuffer> = parseBindExecute('SELECT pg_catalog.pg_backend_pid()', [])

/** pg's own Query: what the server says of it. */
interface Answers {
  handleDataRow?(message: { readonly fields: readonly unknown[] }): void
  handleCommandComplete?(...values: unknown[]): void
}

/** The first row that comes, and the first end, are not the statement's; nor is it the statement's name that is parsed first. */
export function expectPid(client: object, vitals: Vitals): void {
  const answers = activeQueryOf(client) as Answers | undefined
  const told = vitals.askPid
  vitals.askPid = undefined
  if (!answers || !told) return
  vitals.owed ??= { to: 'piggybacked', answered() {} }
  answers.handleDataRow = ({ fields: [pid] }) => told(Number(String(pid)))
  answers.handleCommandComplete = () => {
    // Behind what was put in front are the class's own.
    delete answers.handleDataRow
    delete answers.handleCommandComplete
  }
}

/** The statement that was to carry it was refused, unsent: no other carries it. False: the statement's end is not dealt with by that. */
export function withdrawQuestion(vitals: Vitals): false {
  vitals.askPid = undefined
  return false
}
