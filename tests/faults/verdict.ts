/** What a cell's observations mean. */

import type { Observations } from './cell.ts'
import type { CallReport } from './child.ts'
import type { Cell } from './matrix.ts'

/** What plain `pg` did, in the words of the fault. */
export type Outcome = 'passes' | 'fails' | 'hangs'

/** The longest that a call may take on Thaw: four probe deadlines, or the two seconds of a database that is away and the last pause; five times as much on a slow machine. */
const PATIENCE_MILLIS = 20_000

/** A read is asked again; of a write that was sent nothing is known; a transaction by hand is rolled back, or lost at its end. */
const MAY_BE_TOLD: Readonly<Record<Cell['kind'], readonly (string | undefined)[]>> = {
  read: [],
  write: ['unknown'],
  transaction: ['unknown', 'not-executed'],
}

/** Everything that a user would complain about, one line each. Empty: no user would have noticed. */
export function complaints(cell: Pick<Cell, 'kind' | 'fault'>, seen: Observations, max = 10): string[] {
  const calls = [...seen.calls, ...seen.flying]
  const failed = calls.filter(({ ended }) => ended === 'failed')
  const { acquired, total, idle, waiting } = seen.audit
  const found = [
    ...calls.filter(({ ended, millis }) => ended === 'hangs' || millis > PATIENCE_MILLIS).map((call) => `hangs: ${told(call)}`),
    ...failed.slice(cell.kind === 'read' ? 0 : (cell.fault.mayFail ?? 0)).map((call) => `fails: ${told(call)}`),
    ...failed
      .filter(({ outcome }) => !MAY_BE_TOLD[cell.kind].includes(outcome))
      .map((call) => `is not told what became of it: ${told(call)}`),
    ...seen.uncaught.map((error) => `crashes: ${error}`),
    ...(cell.kind === 'read'
      ? []
      : calls.map((call) => wrongRows(call, seen.rows.get(call.token) ?? 0)).filter((line) => line !== undefined)),
  ]
  if (acquired !== max) found.push(`slots lost: of ${max} callers at once ${acquired} got a connection`)
  if (waiting !== 0 || idle !== total)
    found.push(`slots lost: ${total} connections, of which ${idle} idle, and ${waiting} waiting, when all was over`)
  if (seen.end.ended !== 'ok') found.push(`end() ${told(seen.end)}`)
  if (seen.sessionsLeft !== 0) found.push(`${seen.sessionsLeft} sessions left at the server after end()`)
  return found
}

/** What plain `pg` makes of a cell: only its calls and crashes count, so that it is not blamed for more than the user sees at once. */
export function outcomeOf(seen: Observations): Outcome {
  const calls = [...seen.calls, ...seen.flying]
  if (calls.some(({ ended }) => ended === 'hangs')) return 'hangs'
  return calls.some(({ ended }) => ended === 'failed') || seen.uncaught.length > 0 ? 'fails' : 'passes'
}

/** In one line, for people. */
export function summary(seen: Observations): string {
  const calls = [...seen.flying, ...seen.calls]
  const words = new Map<string, number>()
  for (const call of calls) words.set(said(call), (words.get(said(call)) ?? 0) + 1)
  const list = [...words].map(([word, count]) => `${count} × ${word}`)
  if (seen.uncaught.length > 0) list.push(`${seen.uncaught.length} uncaught`)
  if (seen.audit.acquired < 10) list.push(`then ${seen.audit.acquired} of 10 slots`)
  return list.join(', ')
}

function wrongRows({ token, ended, outcome }: CallReport, rows: number): string | undefined {
  if (outcome === 'not-executed' && rows > 0) return `wrong: ${token} was reported as not executed, but is in the ledger`
  if (rows > 1) return `doubled: ${token} is in the ledger ${rows} times`
  return ended === 'ok' && rows === 0 ? `lost: ${token} was reported as written, but is not in the ledger` : undefined
}

function said({ ended, code, message = '', millis }: CallReport): string {
  if (ended === 'ok') return 'ok'
  return ended === 'hangs' ? `> ${millis / 1000} s`.replace(/(\.\d)\d*/, '$1') : (code ?? message.replace(/^Error: /, ''))
}

function told(call: CallReport): string {
  return `${call.token || 'it'} ${call.ended} after ${call.millis} ms${call.message ? ` (${call.code ?? 'no code'}) ${call.message}` : ''}`
}
