/** pg's Client, as far as we override it. */

import { bindCaller } from '../driver/async-context.ts'
import type { PeerConnection } from '../driver/peer.ts'
import type { ScramSession } from './scram-keys.ts'
import type { ReadyMessage } from './vitals.ts'

/** pg's Client, with its private members. Read in pg 8.11 to 8.23. */
export interface PeerClientBase {
  readonly connection: PeerConnection
  _queryable: boolean
  _ending: boolean
  readyForQuery: boolean
  readonly pipeline?: boolean
  readonly connectionParameters: { query_timeout?: number | string | undefined }
  connect(callback?: (error: Error) => void): unknown
  query(config: unknown, values?: unknown, callback?: unknown): unknown
  _pulseQueryQueue(): void
  _errorAllQueries(error: Error): void
  _handleErrorMessage(message: Error): void
  _handleCommandComplete(message: { text: string }): void
  _handleDataRow(message: { readonly fields: readonly unknown[] }): void
  _handleNotice(message: object): void
  _handleParseComplete(message: object): void
  readonly password: unknown
  readonly saslSession?: ScramSession | null
  readonly enableChannelBinding?: boolean
  _handleAuthSASLContinue(message: { readonly data: string }): Promise<void>
  _handleReadyForQuery(message: ReadyMessage): void
}
export type ClientClass = new (config?: unknown) => PeerClientBase

/** The socket calls it, in the context of the caller that opened the connection. */
export function keepCaller(callback: unknown): unknown {
  return typeof callback === 'function' ? bindCaller(callback as () => void) : callback
}

export function isOpen({ _queryable, _ending }: PeerClientBase): boolean {
  return _queryable !== false && !_ending
}
