/**
 * Whose a statement is: that of a listener of `connect`, which may send it long after the client was handed out (`await client.query(…)`, twice), or that of
 * the caller. Told by the async context, which continues through promises, timers and callbacks.
 */

import { builtin } from './builtin.ts'

/** One call of a client's listeners. */
interface Listening {
  readonly client: object
  /** It has acquired a client of a pool, perhaps the same one: from then on it is a caller. */
  isCaller: boolean
}

/** Node's AsyncLocalStorage. */
interface Storage {
  run(store: Listening | undefined, work: () => void): void
  getStore(): Listening | undefined
}

interface Hooks {
  readonly AsyncLocalStorage?: new () => Storage
}

/** Made for the first client that has a listener: before Node 24, one costs every promise of the process a little. */
let storage: Storage | undefined

/** Calls the listeners: what comes of them is known from then on. */
export function runListeners(client: object, call: () => void): void {
  const AsyncLocalStorage = builtin<Hooks>('node:async_hooks')?.AsyncLocalStorage
  storage ??= AsyncLocalStorage && new AsyncLocalStorage()
  if (storage) storage.run({ client, isCaller: false }, call)
  else call()
}

/** Is this code of a listener of that client? */
export function isListener(client: object): boolean {
  const listening = storage?.getStore()
  return listening?.client === client && !listening.isCaller
}

/** Code that acquires a client is a caller, even if a listener has started it. */
export function noteCaller(): void {
  const listening = storage?.getStore()
  if (listening) listening.isCaller = true
}

/** What the pool does because of a listener's statement is not the listener's. */
export function leaveListener(work: () => void): void {
  if (storage?.getStore()) storage.run(undefined, work)
  else work()
}
