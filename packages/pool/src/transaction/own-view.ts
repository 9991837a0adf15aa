/** The client of `pool.transaction()` as its function sees it: what is set on it stays on it, and never reaches the connection, which serves other callers later. */

import type { PeerClient } from '../driver/peer.ts'

/**
 * A view of `client` with members of its own. Everything else is the client's: instanceof, its events, its connection.
 *
 * A wrapper that is set in place of `query` calls the `query` that it has read before, as on any other object. `outer` is the view of the transaction that this is a part of: what is set there is seen here, except for
 * `members`.
 */
export function ownView(client: PeerClient, members: Readonly<Record<PropertyKey, unknown>>, outer: object | undefined): object {
  const changed: object = Object.create(outer ? (changedOf.get(outer) ?? null) : null)
  const view: object = new Proxy(changed, {
    get: (_, name, receiver) => {
      if (Object.hasOwn(changed, name)) return Reflect.get(changed, name, receiver)
      if (Object.hasOwn(members, name)) return members[name]
      if (name in changed) return Reflect.get(changed, name, receiver)
      const value = Reflect.get(client, name, client) as unknown
      return typeof value === 'function' ? value.bind(client) : value
    },
    set: (_, name, value, receiver) => {
      if (receiver === view && Object.getOwnPropertyDescriptor(changed, name)?.set) return Reflect.set(changed, name, value)
      // An object may inherit from the view: what is set on that one is its own.
      const target = receiver === view ? changed : receiver
      return Reflect.defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true })
    },
    has: (_, name) => name in changed || name in members || name in client,
    ownKeys: () => [...new Set([...Reflect.ownKeys(changed), ...Reflect.ownKeys(client)])],
    getOwnPropertyDescriptor: (_, name) => {
      const own = Reflect.getOwnPropertyDescriptor(changed, name)
      if (own) return own
      const theirs = Reflect.getOwnPropertyDescriptor(client, name)
      // A proxy may only tell of a property as fixed if its target has it.
      return theirs && { ...theirs, configurable: true }
    },
    getPrototypeOf: () => Reflect.getPrototypeOf(client),
    setPrototypeOf: () => false,
    preventExtensions: () => false,
  })
  changedOf.set(view, changed)
  return view
}

/** What was set on a view. */
const changedOf = new WeakMap<object, object>()
