/** A function that provides the password: is the server still judging what it returned, and which errors are the function's own? */

import type { PeerClient } from '../driver/peer.ts'

/** Clients whose function was asked, and whose server has not accepted the login. */
const judged = new WeakSet<object>()

/** What such a function threw: it says nothing about the database, whatever its code. */
const thrown = new WeakSet<object>()

/** To be called before the client connects. */
export function watchPassword(client: PeerClient): void {
  const { connection } = client
  const password: unknown = client.password
  if (typeof password !== 'function') return
  const asked = async (...given: unknown[]): Promise<unknown> => {
    judged.add(client)
    try {
      return await password.apply(client, given)
    } catch (error) {
      throw noted(error)
    }
  }
  Object.assign(client, { password: asked })
  connection?.once('authenticationOk', () => judged.delete(client))
}

/** Was it asked, and can what it returned be the reason for a refusal? */
export function awaitsVerdict(client: object | undefined): boolean {
  return client !== undefined && judged.has(client)
}

export function isPasswordFunctions(error: unknown): boolean {
  return typeof error === 'object' && error !== null && thrown.has(error)
}

function noted(error: unknown): unknown {
  // Without an error, pg takes the attempt for a success, and its first statement hangs.
  const own = error ?? new Error(`The password function threw ${error}`)
  if (typeof own === 'object') thrown.add(own)
  return own
}
