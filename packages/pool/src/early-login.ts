/**
 * Saying who one is together with asking for a session: one round trip less for a dial. Only with a server that has asked this user for SCRAM before, since
 * any other takes the unasked answer for something else.
 */

import type { PeerClient } from './peer.ts'
import { SCRAM } from './scram-keys.ts'

/** Who was asked for SCRAM in this process: host, port and user. */
const asked = new Set<string>()

/** A client whose class is ours can be told to begin the login before it is asked. */
export const EARLY: unique symbol = Symbol.for('thaw.pg.early')

/** pg's client, as far as it logs in. Read in pg 8.11 to 8.23. */
interface Login {
  [EARLY]?(mechanism: string): void
  readonly user?: string
  readonly enableChannelBinding?: boolean
}

/** Remembers whether the server asks for SCRAM. Call it while the client is being connected. */
export function noteLogin(client: PeerClient): void {
  client.connection?.once('authenticationSASL', ({ mechanisms }: { readonly mechanisms: readonly string[] }) => {
    if (mechanisms.includes(SCRAM)) asked.add(key(client))
  })
}

/** The server asks for something else now, or for nothing. */
export function forgetLogin(client: PeerClient): void {
  asked.delete(key(client))
}

/** Logs in behind the StartupMessage, if the server is known to want that. Call it while the client is being connected. Says whether it will. */
export function loginEarly(client: PeerClient): boolean {
  const login = client as unknown as Login
  const { connection } = client
  if (!(EARLY in client) || !connection || login.enableChannelBinding || !asked.has(key(client))) return false
  let isAsked = false
  connection.once('authenticationSASL', () => {
    isAsked = true
  })
  // It lets in whoever comes, and ends the session over an answer to no question as soon as it reads it.
  connection.once('authenticationOk', () => {
    if (!isAsked) connection.stream.destroy()
  })
  // Behind pg's own listener, which sends the StartupMessage.
  connection.once(connection.ssl ? 'sslconnect' : 'connect', () => login[EARLY]?.(SCRAM))
  return true
}

function key(client: PeerClient): string {
  return `${client.host}:${client.port}:${(client as unknown as Login).user ?? ''}`
}
