/** A function that provides the password: is the server still judging what it returned, and which errors are the function's own? */

import type { Clock } from '@thaw/core'
import type { PeerClient } from '../driver/peer.ts'
import { connectionOf } from '../driver/socket.ts'
import type { Pausable } from './pausable.ts'

/** Clients whose function was asked, and whose server has not accepted the login. */
const judged = new WeakSet<object>()

/** What such a function threw: it says nothing about the database, whatever its code. */
const thrown = new WeakSet<object>()

/** Clients whose function has not answered: since when. */
const askedAt = new WeakMap<object, number>()

/** What stands still while the client's function runs. */
const paused = new WeakMap<object, Pausable[]>()

/** That it has not answered in time. */
const unanswered = new WeakSet<object>()

/** To be called before the client connects: while its function runs, it is not the server that is waited for. */
export function pauseForPassword(client: PeerClient, timed: Pausable): void {
  if (typeof client.password === 'function') paused.set(client, [...(paused.get(client) ?? []), timed])
}

/** pg lets a connection string override each option, also by what it does not have: a function beside it was never called, and the server told that there is no password. */
export function takePasswordFunction(client: PeerClient, { password, connectionString }: GivenOptions): void {
  if (typeof password === 'function' && typeof connectionString === 'string' && !hasPassword(connectionString))
    Object.assign(client, { password })
}

interface GivenOptions {
  readonly password?: unknown
  readonly connectionString?: unknown
}

function hasPassword(connectionString: string): boolean {
  try {
    // Without a host, where a parameter or a Unix socket says it: as pg-connection-string reads it.
    const { password, searchParams } = new URL(connectionString.replace('@/', '@none/'))
    return password !== '' || searchParams.has('password')
  } catch {
    return true
  }
}

/** To be called before the client connects. */
export function watchPassword(client: PeerClient, clock: Clock): void {
  const password: unknown = client.password
  if (typeof password !== 'function') return
  const asked = async (...given: unknown[]): Promise<unknown> => {
    judged.add(client)
    askedAt.set(client, clock.mono())
    const timed = paused.get(client) ?? []
    for (const one of timed) one.pause()
    try {
      return await password.apply(client, given)
    } catch (error) {
      throw noted(error)
    } finally {
      askedAt.delete(client)
      for (const one of timed) one.resume()
    }
  }
  Object.assign(client, { password: asked })
  connectionOf(client)?.once('authenticationOk', () => judged.delete(client))
}

/** Was it asked, and can what it returned be the reason for a refusal? */
export function awaitsVerdict(client: object | undefined): boolean {
  return client !== undefined && judged.has(client)
}

export function isPasswordFunctions(error: unknown): boolean {
  return typeof error === 'object' && error !== null && thrown.has(error)
}

/** For how long the client's function has been running. Undefined: it is not. */
export function askedForMillis(client: object | undefined, now: number): number | undefined {
  const since = client && askedAt.get(client)
  return since === undefined ? undefined : now - since
}

/** The same error, which is now known to mean that the function has not answered, if it has not. */
export function blamePassword(client: object, error: Error): Error {
  if (askedAt.has(client)) unanswered.add(error)
  return error
}

export function isUnanswered(error: unknown): boolean {
  return typeof error === 'object' && error !== null && unanswered.has(error)
}

function noted(error: unknown): unknown {
  // Without an error, pg takes the attempt for a success, and its first statement hangs.
  const own = error ?? new Error(`The password function threw ${error}`)
  if (typeof own === 'object') thrown.add(own)
  return own
}
