/** Options of the driver's that are times: what it takes for none, and what it would make nonsense of. */

import { checkOptions, type OptionRule } from '@thaw/core'

/** What PostgreSQL's integer settings hold. */
const MOST_MILLIS = 2 ** 31 - 1

/** For the client's own timers. */
export const MILLIS: OptionRule = { type: 'other', allowed: 'a number of milliseconds, 0 or more', accepts: (value) => isTime(value) }

/** For settings of the server's: pg sends `parseInt` of it, which makes 5 ms of "5s". */
export const SERVER_MILLIS: OptionRule = {
  type: 'other',
  allowed: `a number of milliseconds, from 0 to ${MOST_MILLIS}`,
  accepts: (value) => isTime(value, MOST_MILLIS),
}

/** As in node-postgres, `false` and an empty text are none. */
function isTime(value: unknown, most = Number.POSITIVE_INFINITY): boolean {
  return value === false || ((typeof value === 'number' || typeof value === 'string') && Number(value) >= 0 && Number(value) <= most)
}

const RULES = { query_timeout: MILLIS }

/** Where it can come from a URL. 0: none. @throws {OptionError} if it is no time. */
export function queryTimeoutOf(value: unknown): number {
  if (value) checkOptions({ query_timeout: value }, RULES, 'refuse')
  return Number(value) || 0
}

/** That of one statement, which may be what is left of its caller's time: negative. @throws {OptionError} if it is no number. */
export function ownQueryTimeoutOf(value: unknown): number {
  return typeof value === 'number' ? value || 0 : queryTimeoutOf(value)
}
