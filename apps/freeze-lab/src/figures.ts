/** What a round comes to, in numbers. All of them are seen from outside: by who called, and in the table. */

import type { UncaughtError } from '@thaw/testkit'
import type { Call } from './call.ts'
import type { StoredLine } from './database.ts'

/** One driver under one fault. */
export interface Figures {
  readonly calls: number
  /** Failed calls that need not have failed. */
  readonly failed: number
  /** Calls that failed after their statement was sent: no client can know whether it was executed, and an error says so. */
  readonly unknown: number
  readonly worstWaitMillis: number
  /** A call was still waiting when the lab gave up. */
  readonly isCapped: boolean
  /** Rows that are in the table once too often. */
  readonly rowsTwice: number
  /** Rows of orders that were confirmed and are not in the table. */
  readonly rowsMissing: number
  /** Errors that no code could catch: each would have ended the process, and all calls in it. */
  readonly crashes: number
  /** What the failed calls and the crashes said, and how often. */
  readonly errors: Readonly<Record<string, number>>
}

/** Counts. */
export function tally(calls: readonly Call[], stored: readonly StoredLine[], uncaught: readonly UncaughtError[]): Figures {
  const failures = calls.filter(({ failure }) => failure !== undefined)
  const unknown = failures.filter(({ wasSent }) => wasSent).length
  const copies = new Map(stored.map(({ token, line, copies }) => [`${token} ${line}`, copies]))
  const lines = calls.map((call) => ({ call, copies: linesOf(call).map((line) => copies.get(line) ?? 0) }))
  return {
    calls: calls.length,
    failed: failures.length - unknown,
    unknown,
    worstWaitMillis: Math.round(Math.max(...calls.map(({ waitMillis }) => waitMillis))),
    isCapped: calls.some(({ isCapped }) => isCapped),
    rowsTwice: lines.flatMap((line) => line.copies).reduce((sum, count) => sum + Math.max(0, count - 1), 0),
    rowsMissing: lines
      .filter(({ call }) => call.failure === undefined)
      .flatMap((line) => line.copies)
      .filter((count) => count === 0).length,
    crashes: uncaught.length,
    errors: count([...failures.map(({ failure = '' }) => failure), ...uncaught.map(({ error }) => `uncaught: ${error.message}`)]),
  }
}

/** The sum of several rounds. */
export function total(rounds: readonly Figures[]): Omit<Figures, 'errors'> {
  const sum = (pick: (figures: Figures) => number): number => rounds.reduce((so, figures) => so + pick(figures), 0)
  return {
    calls: sum(({ calls }) => calls),
    failed: sum(({ failed }) => failed),
    unknown: sum(({ unknown }) => unknown),
    worstWaitMillis: Math.max(0, ...rounds.map(({ worstWaitMillis }) => worstWaitMillis)),
    isCapped: rounds.some(({ isCapped }) => isCapped),
    rowsTwice: sum(({ rowsTwice }) => rowsTwice),
    rowsMissing: sum(({ rowsMissing }) => rowsMissing),
    crashes: sum(({ crashes }) => crashes),
  }
}

function linesOf({ event }: Call): readonly string[] {
  if (event.action === 'place') return [`${event.id} 1`]
  return event.action === 'place-all' ? event.items.map((_, index) => `${event.id} ${index + 1}`) : []
}

function count(messages: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const message of messages) counts[message] = (counts[message] ?? 0) + 1
  return counts
}
