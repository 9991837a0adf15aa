/** Sending the proof in the same flight as a read, in front of it: if the connection lives, being asked costs nothing. */

import { type Clock, type Statement, startDeadline } from '@thaw/core'
import type { Hedging } from '../checkout/hedging.ts'
import type { Vitals } from '../connection/vitals.ts'
import { wireError } from '../driver/errno.ts'
import type { PeerClient, PeerQuery } from '../driver/peer.ts'

/** How `pool.query()` may be called with a configuration: what matters here. */
interface QueryForm {
  readonly text?: unknown
  readonly values?: unknown
  readonly name?: unknown
  readonly queryMode?: unknown
  readonly rows?: unknown
  readonly portal?: unknown
  readonly binary?: unknown
  readonly signal?: unknown
  readonly query_timeout?: unknown
}

export interface PiggybackRules {
  readonly classify: (text: string) => Statement
  /** Does the driver know `queryMode: 'extended'`, since pg 8.13? Without it a statement that has no parameters goes by the simple protocol. */
  readonly hasQueryMode: boolean
}

/** In what the extended protocol shows: `$1` without a value is another error, its portal is a cursor, its statement begins later than its transaction. */
const TELLS = /\$|^\s*$|pg_cursors|statement_timestamp/i

/**
 * May the probe be sent with this statement? It must be a read, because it is sent on another connection if no reply comes. What goes by the simple protocol
 * is changed to the extended one, where nobody can see that.
 */
export function mayPiggyback(text: unknown, values: unknown, { classify, hasQueryMode }: PiggybackRules): boolean {
  const form = formOf(text, values)
  if (!form || typeof form.text !== 'string' || !Array.isArray(form.values ?? [])) return false
  if (form.rows || form.portal || form.signal || form.query_timeout) return false
  // By the simple protocol everything comes as text.
  if (isSimple(form) && (!hasQueryMode || form.binary || TELLS.test(form.text))) return false
  return classify(form.text).kind === 'read'
}

/** The statement, as it is sent behind the proof: by the extended protocol, so that one Sync ends both. */
export function asPiggybacked(text: unknown, values: unknown): unknown {
  const form = formOf(text, values)
  return form && isSimple(form) ? { ...form, queryMode: 'extended' } : text
}

/** A string, or a plain object: what has a class of its own may know more than its own properties tell. */
function formOf(text: unknown, values: unknown): QueryForm | undefined {
  if (typeof text === 'string') return { text, ...(values !== undefined && { values }) }
  if (typeof text !== 'object' || text === null || Object.getPrototypeOf(text) !== Object.prototype) return undefined
  return { ...text, ...(values !== undefined && { values }) }
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
  /** The proof is late: another connection is wanted. Returns how not to want it any more. */
  wantOther(): () => void
}

/** A proof that is on its way. */
export interface PiggybackedProbe {
  /** The proof has come, or the statement has ended. */
  readonly isOver: boolean
  end(): void
}

/** The next statement that is sent on the client has the proof in front of it. */
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

/** What ended a connection that gave no sign of life. */
export function noProof(millis: number): Error {
  return wireError('ETIMEDOUT', `Connection did not answer a probe within ${millis} ms; a statement was in flight`)
}
