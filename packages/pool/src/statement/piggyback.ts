/** Sends a probe in the same write as a read, in front of it: if the connection is alive, the check costs nothing. */

import { type Clock, type Statement, startDeadline } from '@thaw/core'
import type { Hedging } from '../checkout/hedging.ts'
import type { Vitals } from '../connection/vitals.ts'
import { wireError } from '../driver/errno.ts'
import type { PeerClient, PeerQuery } from '../driver/peer.ts'
import { formOf, type QueryForm } from '../driver/query-form.ts'

export interface PiggybackRules {
  readonly classify: (text: string) => Statement
  /** Does the driver know `queryMode: 'extended'` (pg 8.13)? Without it, a statement that has no parameters uses the simple protocol. */
  readonly hasQueryMode: boolean
}

/**
 * Where the extended protocol shows: `$1` without a value is a different error, its portal is a cursor, its statement begins later than its
 * transaction.
 */
const TELLS = /\$|^\s*$|pg_cursors|statement_timestamp/i

/**
 * May the probe be sent with this statement? It must be a read, because it is sent on another connection if no reply comes. A statement of
 * the simple protocol is changed to the extended one, where no difference can be seen.
 */
export function mayPiggyback(text: unknown, values: unknown, rules: PiggybackRules): boolean {
  try {
    return isFit(text, values, rules)
  } catch {
    // A getter of the caller's, or a Proxy: asked while others are served. The driver reads it when its turn has come, and tells this caller alone.
    return false
  }
}

function isFit(text: unknown, values: unknown, { classify, hasQueryMode }: PiggybackRules): boolean {
  const form = formOf(text, values)
  if (!form || typeof form.text !== 'string' || !Array.isArray(form.values ?? [])) return false
  if (form.rows || form.portal || form.signal || form.query_timeout) return false
  // With the simple protocol everything comes as text.
  if (isSimple(hasQueryMode ? form : { ...form, queryMode: undefined }) && (!hasQueryMode || form.binary || TELLS.test(form.text)))
    return false
  return classify(form.text).kind === 'read'
}

/** The statement, as it is sent behind the probe: by the extended protocol, so that one Sync ends both. */
export function asPiggybacked({ text, values }: Given): Given {
  const form = formOf(text, values)
  return form && isSimple(form) ? { text: { ...form, queryMode: 'extended' }, values: undefined } : { text, values }
}

/** As its caller wrote it. */
interface Given {
  readonly text: unknown
  readonly values: unknown
}

function isSimple({ values, name, queryMode }: QueryForm): boolean {
  return queryMode !== 'extended' && !name && !(Array.isArray(values) && values.length > 0)
}

/** Does the driver's statement take `queryMode`? */
export function knowsQueryMode(Query: abstract new (...values: never[]) => object): boolean {
  const query = Reflect.construct(Query, [{ text: 'select 1', queryMode: 'extended' }]) as PeerQuery
  return query.requiresPreparation?.() === true
}

export interface PiggybackHost {
  readonly clock: Clock
  readonly hedging: Hedging
  readonly probeTimeoutMillis: number
  /** The reply is late: another connection is wanted. Returns the function that withdraws this. */
  wantOther(): () => void
}

/** A probe on its way. */
export interface PiggybackedProbe {
  /** The reply has come, or the statement has ended. */
  readonly isOver: boolean
  end(): void
}

/** The next statement that is sent on the client has the probe in front of it. */
export function startPiggyback(
  client: PeerClient,
  vitals: Vitals,
  { clock, hedging, probeTimeoutMillis, wantOther }: PiggybackHost,
): PiggybackedProbe {
  const since = clock.mono()
  let isOver = false
  let wantNoOther = () => {}
  const answered = hedging.watchPiggyback(client, () => {
    wantNoOther = wantOther()
  })
  const close = (tookMillis: number | undefined) => {
    if (isOver) return
    isOver = true
    vitals.askedAt = undefined
    deadline.cancel()
    answered(tookMillis)
    wantNoOther()
  }
  const deadline = startDeadline(clock, probeTimeoutMillis, () => client.connection.stream.destroy(noProof(probeTimeoutMillis)))
  vitals.askedAt = since
  vitals.owed = { to: 'piggybacked', answered: () => close(clock.mono() - since) }
  return {
    get isOver() {
      return isOver
    },
    end: () => close(undefined),
  }
}

/** What ended a connection that did not answer a probe. */
export function noProof(millis: number): Error {
  return wireError('ETIMEDOUT', `Connection did not answer a probe within ${millis} ms; a statement was in flight`)
}
