/**
 * A listener of ours on the user's object. It is in front of the user's own, one of which may throw: emitters do not call those behind it. And it is still there
 * after `removeAllListeners`, with which callers clean up.
 */

import type { EventEmitter } from 'node:events'

type Listener = Parameters<EventEmitter['on']>[1]
type Kept = { readonly name: string; readonly listener: Listener }[]

/** Those of an emitter, whose `removeAllListeners` adds them again. */
const KEPT: unique symbol = Symbol('thaw.pg.kept')

/** Until it is removed by `dropListener`. */
export function keepListener(emitter: EventEmitter, name: string, listener: Listener): void {
  keptOf(emitter).push({ name, listener })
  listenFirst(emitter, name, listener)
}

export function dropListener(emitter: EventEmitter, name: string, listener: Listener): void {
  const kept = keptOf(emitter)
  const index = kept.findIndex((one) => one.name === name && one.listener === listener)
  if (index !== -1) kept.splice(index, 1)
  emitter.removeListener(name, listener)
}

function keptOf(emitter: EventEmitter & { [KEPT]?: Kept }): Kept {
  const known = emitter[KEPT]
  if (known) return known
  const kept: Kept = []
  Object.defineProperty(emitter, KEPT, { value: kept })
  const { removeAllListeners } = emitter
  if (!removeAllListeners) return kept
  emitter.removeAllListeners = (...names: [event?: string | symbol]) => {
    const result = removeAllListeners.apply(emitter, names)
    for (const { name, listener } of kept) if (!emitter.listeners(name).includes(listener)) listenFirst(emitter, name, listener)
    return result
  }
  return kept
}

/** A client of the user's own class may be able to do no more than pg-pool needs. */
function listenFirst(emitter: EventEmitter, name: string, listener: Listener): void {
  if (emitter.prependListener) emitter.prependListener(name, listener)
  else emitter.on(name, listener)
}
