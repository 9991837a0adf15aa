/**
 * A statement that could not be handed to its connection, because what its caller gave throws when it is read (a getter, a Proxy), or because a patched method
 * does. That is this caller's own error: the connection goes back, and the others are served.
 */

import { isBroken, type Vitals } from '../connection/vitals.ts'
import { isBusy } from '../connection/when-finished.ts'
import { nextTick } from '../driver/next-tick.ts'
import type { PeerClient, Release } from '../driver/peer.ts'
import { type Call, resume } from './call.ts'
import { unlessReleased } from './unless-released.ts'

/** `tell` rejects the caller: in the next tick, for it may not have its promise yet. */
export function notHandedOver(
  call: Call,
  client: PeerClient,
  vitals: Vitals,
  given: Release,
  error: Error,
  tell: (error: Error) => void,
): void {
  vitals.reader = undefined
  vitals.readerRelease = undefined
  vitals.askPid = undefined
  // Behind a probe that was not sent, nothing is proven. And what a patched method has sent by half, nothing may follow.
  const isSound = !vitals.piggybacks && !isBusy(client) && !isBroken(client)
  vitals.piggybacks = false
  unlessReleased(given)(isSound ? undefined : error)
  nextTick(() => resume(call, () => tell(error)))
}
