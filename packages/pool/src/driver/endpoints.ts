/** Where connections go, and which of these addresses have answered in this process. */

import type { PeerClient } from './peer.ts'

/** Where a connection attempt goes. */
export interface Target {
  readonly host: string
  readonly port: number
  readonly database: string
}

/** A name with anything of a URL in it may be one that was misread, with a password in it. */
const MAYBE_SECRET = /[@:/?#='"\s]/

/** For messages. */
export function address(target: Target): string {
  const { database } = target
  const name = database === '' || MAYBE_SECRET.test(database) ? 'the database' : `database "${database}"`
  return `${name} at ${place(target)}`
}

/** Without the database. */
export function place({ host, port }: Target): string {
  return host.startsWith('/') ? host : `${host}:${port}`
}

/** Endpoints that have answered in this process: their address is not a typo. */
const reached = new Set<string>()

/** Has this endpoint ever answered in this process? */
export function wasReached(target: Target | undefined): boolean {
  return target !== undefined && reached.has(key(target))
}

/** It has answered. */
export function noteReached(target: Target): void {
  reached.add(key(target))
}

function key({ host, port }: Target): string {
  return `${host}:${port}`
}

/** Where the client's connection goes. */
export function targetOf(client: PeerClient): Target {
  return { host: client.host, port: client.port, database: client.database ?? '' }
}
