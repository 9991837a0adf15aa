/** What a fault has to work with: one driver's instance, its connections, its database. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultProxy, FreezableProcess } from '@thaw/testkit'
import { type Call, observeCall } from './call.ts'
import type { Database } from './database.ts'
import type { OrderEvent } from './handler.ts'
import { LabError } from './lab-error.ts'
import type { Requests } from './requests.ts'

/** What a scene is made of. */
export interface SceneParts {
  readonly database: Database
  readonly proxy: FaultProxy
  readonly instance: FreezableProcess
  readonly requests: Requests
  /** How many connections the instance has open, all of them idle. */
  readonly warmCount: number
  readonly signal: AbortSignal
  /** Told what happens next. */
  readonly tell: (step: string) => void
}

/** One driver's side of one fault. */
export interface Scene extends SceneParts {
  /** Freezes the instance for {@link FREEZE_MILLIS}, and does `strike` meanwhile. It is still frozen afterwards. */
  freeze(strike?: () => Promise<void> | void): Promise<void>
  /** Thaws the instance by ten requests that were waiting for it, and does `beside` while it answers them. */
  burst(beside?: () => Promise<void>): Promise<void>
  /** Waits until nothing passes the proxy any more: no connection attempt is under way, and no answer. */
  settle(): Promise<void>
  /** Calls the handler. `wasSent`: the fault strikes after its statement was sent, so it may fail. */
  call(event: OrderEvent, wasSent?: boolean): Promise<Call>
  sleep(millis: number): Promise<void>
  /** Throws that the fault did not strike, unless it struck so often. */
  mustStrike(what: string, count: number, atLeast: number): void
}

/** Longer than the 500 ms for which Thaw trusts a connection unasked. */
const FREEZE_MILLIS = 700

/** Sets the scene. All calls go to `calls`. */
export function createScene(parts: SceneParts, faultName: string, calls: Promise<Call>[]): Scene {
  const { instance, signal, requests, tell, proxy, database } = parts
  const scene: Scene = {
    ...parts,
    async freeze(strike = () => {}) {
      signal.throwIfAborted()
      await instance.freeze()
      const frozenAt = performance.now()
      tell('frozen')
      await strike()
      await scene.sleep(Math.max(0, frozenAt + FREEZE_MILLIS - performance.now()))
    },
    async burst(beside = async () => {}) {
      tell('thawed, ten calls at once')
      const burst = requests.burst().map((event) => scene.call(event))
      await instance.thaw()
      await Promise.all([...burst, beside()])
    },
    settle: () => settleProxy(proxy, database.quietMillis, signal),
    call(event, wasSent = false) {
      signal.throwIfAborted()
      const call = observeCall(instance, event, wasSent)
      calls.push(call)
      return call
    },
    sleep: (millis) => sleep(millis, undefined, { signal }),
    mustStrike(what, count, atLeast) {
      if (count >= atLeast) return
      throw new LabError(`The fault '${faultName}' did not strike, so its figures mean nothing: ${what}: ${count} instead of ${atLeast}.`)
    },
  }
  return scene
}

/** Waits until nothing has passed the proxy for `quietMillis`. */
export async function settleProxy({ counters }: FaultProxy, quietMillis: number, signal: AbortSignal): Promise<void> {
  for (let before = -1, now = 0; now !== before; ) {
    before = now
    await sleep(quietMillis, undefined, { signal })
    now = counters.chunksToServer + counters.chunksToClient + counters.flowsOpened
  }
}
