/** Neon's Client on a socket of ours. A dial has succeeded when the server has said so. */

import { Client, type ClientConfig } from '@neondatabase/serverless'
import { codeOf } from '@thaw/core'
import { markLost } from '@thaw/pool'
import { checkConnectionString, missingConnectionString } from './connection-string.ts'
import { saysUnreached } from './peer.ts'
import { Socket } from './socket.ts'

/** Neon's Client, with the members that it shares with nobody. */
interface PeerClientBase {
  readonly connection: { once(name: string, listener: (message: unknown) => void): void }
  readonly neonConfig: { readonly pipelineConnect: unknown }
  readonly host: string
  readonly config: { readonly connectionString?: string; readonly host?: string }
  readonly _connecting: boolean
  connect(callback?: (error?: Error) => void): Promise<void> | undefined
  _handleReadyForQuery(message?: object): void
  _handleErrorMessage(message: Error): void
}

const Base = Client as unknown as new (config: object) => PeerClientBase

export class NeonClient extends Base {
  /** Survives minifiers: ORMs look at class names. No field: webpack's minifier assigns it, which throws. */
  static override get name(): string {
    return 'Client'
  }

  constructor(config?: string | ClientConfig) {
    super(withSocket(config))
  }

  override connect(callback?: (error?: Error) => void): Promise<void> | undefined {
    if (!hasTarget(this)) return refuse(missingConnectionString(), callback)
    const result = super.connect(callback)
    // Neon has taken the client's own listener off, and puts it back only for the second time that the server is ready.
    if (this.neonConfig.pipelineConnect) this.connection.once('readyForQuery', (message) => this._handleReadyForQuery(message as object))
    return result
  }

  override _handleReadyForQuery(message?: object): void {
    // Neon's own, without a message, once it has sent the password: the server has not said a word. A wrong password, or a database that does not
    // wake up, would be the first statement's misfortune.
    if (message) super._handleReadyForQuery(message)
  }

  override _handleErrorMessage(message: Error): void {
    if (this._connecting && codeOf(message) === 'XX000' && saysUnreached(message.message)) markLost(message)
    super._handleErrorMessage(message)
  }
}

function refuse(error: Error, callback: ((error?: Error) => void) | undefined): Promise<void> | undefined {
  if (!callback) return Promise.reject(error)
  queueMicrotask(() => callback(error))
  return undefined
}

function withSocket(config: string | ClientConfig | undefined): object {
  const given = typeof config === 'string' ? { connectionString: config } : (config ?? {})
  checkConnectionString(given.connectionString)
  // Not a spread: a pool hides the password by making it non-enumerable.
  const copy = Object.defineProperties({}, Object.getOwnPropertyDescriptors(given)) as { stream?: unknown }
  copy.stream ??= new Socket()
  return copy
}

/** pg would go to its default, where no Neon is. */
function hasTarget({ config, host }: PeerClientBase): boolean {
  return host !== 'localhost' || config.connectionString !== undefined || config.host !== undefined || environment().PGHOST !== undefined
}

function environment(): { readonly PGHOST?: string } {
  return (globalThis as { process?: { env?: { PGHOST?: string } } }).process?.env ?? {}
}
