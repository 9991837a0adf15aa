/**
 * Makes a client and connects it, as pg-pool's `newClient` does. Not through `super`: its timer, and that of pg's client, count the time
 * for which the process was frozen, and after a thaw end an attempt that had no chance to succeed.
 */

import { bindInvocation, type Clock, resumeInvocation, startDeadline } from '@thaw/core'
import { close } from '../connection/closing.ts'
import { makeInPool } from '../connection/made-by-pool.ts'
import type { ConnectCallback, PeerClient, PeerPool, PendingItem } from '../driver/peer.ts'
import { streamOf } from '../driver/socket.ts'
import { type HostStep, hostPlanOf, optionsAt } from '../options/hosts.ts'
import { TIMED_OUT } from './dial-failure.ts'
import { noteStep } from './host-facts.ts'
import { blamePassword, pauseForPassword, takePasswordFunction, watchPassword } from './password-function.ts'
import { limitAttempt } from './pausable.ts'
import { watchKind } from './session-kind.ts'

interface DialOptions {
  readonly connectionTimeoutMillis?: number
  readonly maxLifetimeSeconds?: number
  readonly onConnect?: (client: PeerClient) => unknown
}

/** How a connection is handed to a caller: a new one, or one that is idle. */
export type Hand = (client: PeerClient, item: PendingItem, isNew: boolean) => void

/** How long an `onConnect` may go on after its connection has died: it knows best what to tell the caller. */
const AFTER_DEATH_MILLIS = 1000

/** Those that the pool has given up itself: it reports no error of them. */
const givenUp = new WeakSet<PeerClient>()

export function giveUp(client: PeerClient | undefined): void {
  if (client) givenUp.add(client)
  streamOf(client)?.destroy()
}

/**
 * Calls back once, with a client that is handed out, or with an error. `made`: before it connects; `prepares`: it is open, and `onConnect` begins.
 * Throws if no client can be made at all.
 */
export function openClient(
  pool: PeerPool<PendingItem>,
  clock: Clock,
  hand: Hand,
  done: ConnectCallback,
  step: HostStep | undefined,
  made: (client: PeerClient) => void,
  prepares: () => void,
): PeerClient {
  const { connectionTimeoutMillis, onConnect } = pool.options as DialOptions
  const client = makeInPool(() => new pool.Client(step ? optionsAt(pool.options, step) : pool.options))
  const plan = hostPlanOf(pool.options)
  const judgeKind = step && plan && watchKind(client, step.wants, plan)
  if (step && plan) noteStep(client, step, plan)
  made(client)
  takePasswordFunction(client, pool.options)
  watchPassword(client, clock)
  client._connectionTimeoutMillis = 0
  pool._clients.push(client)
  const forget = () => {
    pool._clients = pool._clients.filter((one) => one !== client)
  }
  let isTimeUp = false
  const expire = () => {
    pool.log('ending client due to timeout')
    isTimeUp = true
    const stream = streamOf(client)
    if (stream) stream.destroy()
    else void client.end()
  }
  // A host that does not answer leaves time for the others. One that waits for our password is not at fault.
  const timeout = limitAttempt(clock, Number(connectionTimeoutMillis), hostPlanOf(pool.options)?.steps.length ?? 1, expire)
  if (timeout) pauseForPassword(client, timeout)
  const fail = (error: Error) => done(error, undefined, () => {})
  const handOut = () => {
    limitLifetime(pool, clock, client, hand)
    hand(client, { callback: done }, true)
  }
  const refuse = (refused: Error) => {
    forget()
    close(client, clock, () => fail(refused))
  }
  const connected = (error: Error | null | undefined) => {
    if (error || !judgeKind) return judged(error)
    // Its death fails the question, if one is asked.
    const ignore = () => {}
    client.on('error', ignore)
    const known = bindInvocation((wrong: Error | undefined) => {
      timeout?.cancel()
      if (wrong) return refuse(wrong)
      client.removeListener('error', ignore)
      judged(undefined)
    })
    resumeInvocation(undefined, () => judgeKind(known))
  }
  const judged = (error: Error | null | undefined) => {
    timeout?.cancel()
    if (error) {
      pool.log('client failed to connect', error)
      forget()
      return fail(isTimeUp ? blamePassword(client, new Error(TIMED_OUT, { cause: error })) : error)
    }
    pool.log('new client connected')
    if (!onConnect) return handOut()
    let isOver = false
    const over = (end: () => void) => {
      if (isOver) return
      isOver = true
      client.removeListener('error', died)
      end()
    }
    const died = (lost: Error) => {
      startDeadline(clock, AFTER_DEATH_MILLIS, () => over(() => refuse(lost)), true)
      diedMeanwhile(pool, client, lost)
    }
    client.once('error', died)
    prepares()
    // A client that hangs up meanwhile does not end it: the connection may be another caller's.
    new pool.Promise((resolve) => resolve(resumeInvocation(undefined, () => onConnect(client)))).then(
      () => over(handOut),
      (refused: Error) => over(() => refuse(refused)),
    )
  }
  pool.log('connecting new client')
  try {
    client.connect(connected as (error: Error) => void)
  } catch (error) {
    timeout?.cancel()
    forget()
    throw error
  }
  return client
}

/** As with pg-pool, a client that dies while `onConnect` runs is removed, and the pool emits an error. Not of one that it has given up or removed itself. */
function diedMeanwhile(pool: PeerPool<PendingItem>, client: PeerClient, error: Error): void {
  const isNews = pool._clients.includes(client) && !givenUp.has(client)
  Object.assign(error, { client })
  client.on('error', () => pool.log('additional client error after disconnection due to error', error))
  pool._remove(client)
  if (isNews) pool.emit('error', error, client)
}

/** As pg-pool's own timer: a connection that is idle by then is acquired and released, which ends it. The others end when they are released. */
function limitLifetime(pool: PeerPool<PendingItem>, clock: Clock, client: PeerClient, hand: Hand): void {
  const { maxLifetimeSeconds } = pool.options as DialOptions
  if (!maxLifetimeSeconds) return
  const expire = () => {
    pool.log('ending client due to expired lifetime')
    pool._expired.add(client)
    if (!pool._idle.some((item) => item.client === client)) return
    hand(client, { callback: (_error, _client, release) => release() }, false)
  }
  const timer = clock.setTimer(expire, maxLifetimeSeconds * 1000, true)
  client.once('end', () => clock.clearTimer(timer))
}
