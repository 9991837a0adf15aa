/** What a dial tells of the time that a round trip takes, without asking anything. */

import type { Clock } from '@thaw/core'
import type { PeerClient } from './peer.ts'

/** The first words of a server that is asked for a session. */
const GREETINGS = ['authenticationOk', 'authenticationCleartextPassword', 'authenticationMD5Password', 'authenticationSASL'] as const

/**
 * Reports each step of a dial that is one round trip: TCP's handshake, the answer to StartupMessage, and the server's part of SCRAM. Not TLS, where it
 * takes computing, and not what follows a password that is asked of a function.
 */
export function timeDialSteps({ connection, password }: PeerClient, clock: Clock, isEarly: boolean, took: (millis: number) => void): void {
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
  // SCRAM's first answer comes with the greeting then.
  if (isEarly || typeof password !== 'string') return
  connection.once('authenticationSASL', restart)
  connection.once('authenticationSASLContinue', step)
}
