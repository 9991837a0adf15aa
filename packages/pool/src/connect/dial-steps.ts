/** What a connection attempt shows about the round-trip time, at no extra cost. */

import type { Clock, ConnectStage } from '@thaw/core'
import type { PeerClient } from '../driver/peer.ts'
import { connectionOf } from '../driver/socket.ts'

/** A server's first message when it is asked for a session. */
const GREETINGS = ['authenticationOk', 'authenticationCleartextPassword', 'authenticationMD5Password', 'authenticationSASL'] as const

/**
 * Reports each step of a connection attempt that is one round trip: TCP's handshake, the answer to StartupMessage, and the server's part of
 * SCRAM. Not TLS, which takes computing, and not what follows a password that a function has to provide.
 */
export function timeDialSteps(client: PeerClient, clock: Clock, took: (millis: number) => void): void {
  const { password } = client
  const connection = connectionOf(client)
  if (!connection) return
  let since = clock.mono()
  const restart = () => {
    since = clock.mono()
  }
  const step = () => {
    took(clock.mono() - since)
    restart()
  }
  const { stream } = connection
  // A name lookup is not a round trip to the server; and an address that does not answer is replaced by the next one.
  stream.on('lookup', restart)
  stream.on('connectionAttempt', restart)
  stream.once('connect', step)
  let isGreeted = connection.ssl !== false
  const greet = () => {
    if (!isGreeted) step()
    isGreeted = true
  }
  for (const greeting of GREETINGS) connection.once(greeting, greet)
  if (typeof password !== 'string') return
  connection.once('authenticationSASL', restart)
  connection.once('authenticationSASLContinue', step)
}

/** An address that needs no name server: an IP address, or a Unix socket. */
const ADDRESS = /^(\/|[\d.]+$|.*:)/

/**
 * Follows a connection attempt from the start. Returns a function that tells the stage it has reached: a silent name server leaves no other
 * trace.
 */
export function followDial(client: PeerClient): () => ConnectStage {
  const { host } = client
  const connection = connectionOf(client)
  if (!connection) return () => 'startup'
  const { stream } = connection
  // A socket of Node's reports its lookups; others, such as a WebSocket, do not.
  let stage: ConnectStage = !ADDRESS.test(host) && 'remoteAddress' in stream ? 'dns' : 'tcp'
  const enter = (next: ConnectStage) => () => {
    stage = next
  }
  stream.once('lookup', enter('tcp'))
  stream.once('connectionAttempt', enter('tcp'))
  stream.once('connect', enter(connection.ssl ? 'tls' : 'startup'))
  connection.once('sslconnect', enter('startup'))
  return () => stage
}
