/**
 * `pool.batch()`: several statements in one flight, which is one transaction. Its id comes in front of the Sync that commits, so that a lost answer can be resolved where it
 * got out before: for certainty there are `once`, for a round trip more, and an idempotency key.
 */

import { backoffMillis, earn, mayRerun, rerunReason, spend } from '@thaw/core'
import { emitOutcome, emitRetried } from '../checkout/emit.ts'
import { interruptedBefore } from '../connection/interruption.ts'
import { addressOf, lossOf } from '../connection/lost-statement.ts'
import { hasSessionState } from '../connection/session-state.ts'
import { isBroken } from '../connection/vitals.ts'
import type { PeerClient } from '../driver/peer.ts'
import { type Backend, knownBackend, noteBackend, tellsNothing } from './backend.ts'
import { confirmBatch, type Doubt, looksLikeReads, lostRead, resolveLost, type Sent, sendReadOnly } from './batch-lost.ts'
import { textOf, timeoutOf } from './config.ts'
import { lostSession } from './fence.ts'
import { type FlightStatement, fly } from './flight.ts'
import { noteRefused, tagOf } from './flight-tag.ts'
import { orRelease } from './or-release.ts'
import { ASK_XID, hasUnseenEffect, TAKE_XID, xidOf } from './own-xid.ts'
import { isRefusedByStandby } from './refused-by-standby.ts'
import { DEFAULT_RETRIES } from './rules.ts'
import { type LostCommit, pause, warnedCommit } from './settle.ts'
import type { TransactionHost } from './transaction.ts'
import { placeOfQuestion, withoutWho, withWho } from './who-first.ts'

export async function batchOnWire(
  host: TransactionHost,
  statements: readonly FlightStatement[],
  signal: AbortSignal | undefined,
): Promise<unknown[]> {
  const { memory, clock } = host
  let metStandby = false
  let doubted: Doubt | undefined
  for (let tries = 0; ; tries++) {
    const over = interruptedBefore({ timeoutMillis: 0, signal })
    if (over) throw over
    const sent = await (doubted ? sendReadOnly(host, statements, signal, doubted) : sendOnce(host, statements, signal))
    const { error, results, untold, isStandby, hadSessionState } = sent
    if (!error) {
      if (metStandby) host.roles.forget()
      memory.budget = earn(memory.budget)
      return results.slice(0, statements.length)
    }
    const reason = rerunReason(error)
    const budget = reason === 'lost' ? spend(memory.budget) : memory.budget
    const facts = {
      reason,
      retriesLeft: DEFAULT_RETRIES - tries,
      isOver: signal?.aborted === true,
      isPoolEnding: host.isEnding(),
      hasBudget: budget !== undefined,
      isStandby,
      hadSessionState,
    }
    if (!mayRerun(facts)) {
      if (untold) emitOutcome(memory.events, untold, 'reported')
      throw error
    }
    metStandby ||= isStandby === true
    doubted ??= sent.doubt
    memory.budget = budget ?? memory.budget
    const delayMillis = backoffMillis(tries, Number.POSITIVE_INFINITY, clock.random())
    emitRetried(memory.events, 'transaction', delayMillis, error)
    await pause(clock, delayMillis)
  }
}

async function sendOnce(host: TransactionHost, statements: readonly FlightStatement[], signal: AbortSignal | undefined): Promise<Sent> {
  const bounds = { signal, query_timeout: timeoutOf(statements) }
  const client = await host.connect(signal)
  const hadSessionState = hasSessionState(client)
  const sent = await orRelease(client.release, () => sendOn(client, host, statements, bounds))
  return hadSessionState ? { ...sent, hadSessionState } : sent
}

async function sendOn(
  client: PeerClient,
  host: TransactionHost,
  statements: readonly FlightStatement[],
  bounds: { readonly signal: AbortSignal | undefined; readonly query_timeout: number | undefined },
): Promise<Sent> {
  const asks = host.tells !== false
  const asksWho = asks && !knownBackend(client)
  const place = asksWho ? placeOfQuestion(statements) : Number.POSITIVE_INFINITY
  const tag = place < statements.length ? tagOf(host.memory, host.clock) : undefined
  let told: Backend | undefined
  const noted = (backend: Backend | undefined) => {
    told = backend
    host.memory.hasKeyTable ??= backend?.hasKeyTable
    noteBackend(client, backend)
  }
  const asking = asksWho ? withWho(statements, place, noted, tag) : statements
  const text = statements.map(({ config }) => textOf(config)).join('; ')
  const isUnseen = statements.some(({ config }) => hasUnseenEffect(host.classify(textOf(config) ?? ''), textOf(config)))
  const flown = await fly(client, host, asks ? [...asking, isUnseen ? TAKE_XID : ASK_XID] : asking, {
    text,
    shownAt: (place < statements.length ? asking.length : statements.length) - 1,
    ...bounds,
    flushes: asks,
    ends: true,
    isAnsweredAtOnce: place === 0,
  })
  const landing = withoutWho(flown, place)
  const { error, results, failedAt, isRefused } = landing
  const end = statements.length
  const backend = () => knownBackend(client) ?? told
  if (!error && landing.isUnreplicated) {
    const session = lostSession(host.memory, client, { backend: backend(), xid: asks ? xidOf(results.at(-1)) : undefined })
    client.release()
    return confirmBatch(host, landing, warnedCommit(session, addressOf(client), host.clock.wall()))
  }
  if (!error) {
    client.release()
    return landing
  }
  const loss = lossOf(error)
  if (!loss) {
    const isStandby = await isRefusedByStandby(host.roles, client, error)
    client.release(isBroken(client) ? error : undefined)
    if (isStandby) return { ...landing, isStandby }
    // What is behind our questions is the end of all: a deferred constraint, a serialization failure.
    const isOurs = isRefused || (asks && failedAt === end)
    if (!isOurs || !tellsNothing(error)) return landing
    // This database has no such functions. All of it was rolled back: once more, without asking.
    noteRefused(host, tag, error)
    return sendOnce(host, statements, bounds.signal)
  }
  client.release(error)
  if (loss.verdict.outcome === 'not-executed') return { ...landing, untold: loss }
  // All of it was answered, but for the end: then the id is known, unless it had none.
  const xid = asks && results.length === end + 1 ? xidOf(results.at(-1)) : undefined
  const lost: LostCommit = {
    ...lostSession(host.memory, client, { backend: backend(), xid }),
    tag,
    where: loss.where,
    lostAt: host.clock.wall(),
    cause: loss.cause,
    statement: loss.evidence.statement.kind,
  }
  const isRead = xid === undefined && looksLikeReads(host, statements)
  return isRead ? { ...landing, error: lostRead(loss), untold: loss, doubt: { loss, lost } } : resolveLost(host, landing, { loss, lost })
}
