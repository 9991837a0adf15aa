/** Neon's Client on our socket. A connection attempt succeeds when the server says so. */

import { Client, type ClientConfig } from '@neondatabase/serverless'
import { codeOf, environment } from '@thaw/core'
import { markLost } from '@thaw/pool'
import { checkConnectionString, missingConnectionString } from './connection-string.ts'
import { saysUnreached } from './peer.ts'
import { Socket } from './socket.ts'

/** Neon's Client, with its private members. */
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
  /** Survives minifiers: ORMs look at class names. Not a field: webpack's minifier turns it into an assignment, which throws. */
  static override get name(): string {
    return 'Client'
  }

  constructor(config?: string | ClientConfig) {
    super(withSocket(config))
  }

  override connect(callback?: (error?: Error) => void): Promise<void> | undefined {
    if (!hasTarget(this)) return refuse(missingConnectionString(), callback)
    const result = super.connect(callback)
    // Neon has removed the client's own listener, and restores it only for the second ReadyForQuery.
    if (this.neonConfig.pipelineConnect) this.connection.once('readyForQuery', (message) => this._handleReadyForQuery(message as object))
    return result
  }

  override _handleReadyForQuery(message?: object): void {
    // Neon emits this itself, without a message, once it has sent the password: the server has not answered yet. A wrong password, or a
    // database that does not wake up, would fail the first statement instead.
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

/** pg would go to its default, where there is no Neon. */
function hasTarget({ config, host }: PeerClientBase): boolean {
  return host !== 'localhost' || config.connectionString !== undefined || config.host !== undefined || environment()['PGHOST'] !== undefined
}
