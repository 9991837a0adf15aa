/** What a dial tells of the time that a round trip takes, without asking anything. */

import type { Clock, ConnectStage } from '@thaw/core'
import type { PeerClient } from '../driver/peer.ts'

/** The first words of a server that is asked for a session. */
const GREETINGS = ['authenticationOk', 'authenticationCleartextPassword', 'authenticationMD5Password', 'authenticationSASL'] as const

/**
 * Reports each step of a dial that is one round trip: TCP's handshake, the answer to StartupMessage, and the server's part of SCRAM. Not TLS, where it
 * takes computing, and not what follows a password that is asked of a function.
 */
export function timeDialSteps({ connection, password }: PeerClient, clock: Clock, took: (millis: number) => void): void {
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
  // Looking the name up is no round trip to the server; and an address that does not answer gives way to the next one.
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

/** An address that no name server has to be asked for: an IP address, or a socket in the file system. */
const ADDRESS = /^(\/|[\d.]+$|.*:)/

/** Follows a dial from where it begins. Returns what tells how far it has come: a name server that is silent leaves no other trace. */
export function followDial({ connection, host }: PeerClient): () => ConnectStage {
  if (!connection) return () => 'startup'
  const { stream } = connection
  // A socket of Node's says what it looks up; others, such as a WebSocket, do not.
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
