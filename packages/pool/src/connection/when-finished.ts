/** Clients that are released while a statement runs: is there one, and when does it end? */

import { pollSockets, startDeadline } from '@thaw/core'
import { dropListener, keepListener } from '../driver/kept-listener.ts'
import { nextTick } from '../driver/next-tick.ts'
import { type PeerClient, queuedQueriesOf } from '../driver/peer.ts'
import type { Settings } from '../options/options.ts'
import { bound, interruptedBefore } from './interruption.ts'
import { isWaitingForItsReader, whenLeft } from './submittable.ts'
import { isBroken, VITALS, type Vitals } from './vitals.ts'

/** Is a statement running, or queued? Or a reply due to a probe that was sent for one? */
export function isBusy(client: PeerClient): boolean {
  if (client.readyForQuery === false || queuedQueriesOf(client).length > 0) return true
  return (client as { readonly [VITALS]?: Vitals })[VITALS]?.asking !== undefined
}

/**
 * Waits until a client that was released is quiet, at most `releaseTimeoutMillis`. Each time it seems to be, the event loop turns once: in
 * a promise chain that is not awaited, the next statement is sent when the promise of the one before has settled. Calls back once.
 */
export function whenQuiet(
  client: PeerClient,
  settings: Settings,
  done: (quiet: boolean) => void,
  isQuiet: () => boolean = () => !isBusy(client),
): void {
  const began = settings.clock.mono()
  const wait = (millis: number) =>
    whenFinished(client, { ...settings, releaseTimeoutMillis: millis }, (finished) => {
      if (!finished) return done(false)
      pollSockets(
        settings.clock,
        () => {
          if (isQuiet()) return done(true)
          wait(Math.max(0, settings.releaseTimeoutMillis - (settings.clock.mono() - began)))
        },
        1,
      )
    })
  wait(settings.releaseTimeoutMillis)
}

/** Longer than a listener takes that sets a session up; and for longer, no caller waits before its own time begins. */
const LISTENER_MILLIS = 1000

/**
 * What a listener of `connect` sends on a new connection, each when the one before was answered, or in a transaction, is no part of the transaction that begins there. Waits until
 * that is over, for a second at most, and not beyond the signal or the deadline of the invocation: what begins then says so itself.
 */
export function whenListenersEnd(client: PeerClient, settings: Settings, signal: AbortSignal | undefined, done: () => void): void {
  const vitals = (client as { readonly [VITALS]?: Vitals })[VITALS]
  const isOver = () => !isBusy(client) && (vitals?.status ?? 'I') === 'I'
  const bounds = { timeoutMillis: 0, signal }
  if (isOver() || interruptedBefore(bounds)) return done()
  let isTold = false
  const tell = () => {
    if (isTold) return
    isTold = true
    lift()
    done()
  }
  const lift = bound(settings.clock, bounds, tell)
  whenQuiet(client, { ...settings, releaseTimeoutMillis: LISTENER_MILLIS }, tell, isOver)
}

/** Waits for it, at most `releaseTimeoutMillis`: its result is not needed, its effect is. Calls back once. */
export function whenFinished(client: PeerClient, settings: Settings, done: (finished: boolean) => void): void {
  const isLeft = isWaitingForItsReader(client)
  let isOver = false
  const settle = (finished: boolean) => {
    if (isOver) return
    isOver = true
    deadline.cancel()
    stopWaiting()
    dropListener(client, 'drain', drained)
    dropListener(client, 'end', ended)
    done(finished)
  }
  const drained = () => settle(true)
  const ended = () => settle(false)
  keepListener(client, 'drain', drained)
  keepListener(client, 'end', ended)
  const deadline = startDeadline(settings.clock, settings.releaseTimeoutMillis, ended)
  const stopWaiting = whenLeft(client, ended)
  if (isLeft) ended()
  // A lost connection stays busy, and may have emitted its `end` before.
  else if (isBroken(client)) nextTick(ended)
}

/** Waits until the server is ready again after an error, whatever is queued behind it. Calls back once. */
export function whenReady(client: PeerClient, settings: Settings, done: (ready: boolean) => void): void {
  const { connection } = client
  let isOver = false
  const settle = (isReady: boolean) => {
    if (isOver) return
    isOver = true
    connection.off('readyForQuery', ready)
    done(isReady)
  }
  const ready = () => settle(true)
  // In front of pg's own, which calls the user's code.
  connection.prependListener('readyForQuery', ready)
  whenFinished(client, settings, settle)
}
