/** The slice of Neon's driver that we use beyond its public types. Read in @neondatabase/serverless 1.0 to 1.2. */

import { neonConfig } from '@neondatabase/serverless'

/** What a WebSocket reports about itself, in every runtime. */
export interface PeerWebSocket {
  readonly readyState: number
  readonly bufferedAmount?: number
  send(data: Uint8Array): void
  close(): void
  /** Only that of the package "ws": no closing handshake. */
  terminate?(): void
}

/** Neon's stand-in for a `net.Socket`. */
export interface PeerSocket {
  ws: PeerWebSocket | null
  destroyed: boolean
  /** The options of this socket alone, which override those of `neonConfig`. */
  opts: object
  readonly coalesceWrites: boolean
  readonly webSocketConstructor: unknown
  emit(name: string, ...values: unknown[]): boolean
  connect(port: number | string, host: string, listener?: () => void): void
  rawWrite(data: Uint8Array): void
  end(...values: unknown[]): this
  destroy(reason?: Error): this
}

/** The class is exported under the name of its settings, which are its statics. */
export const PeerSocketClass: new () => PeerSocket = neonConfig as unknown as new () => PeerSocket

/** The messages of Neon's proxy when it could not reach the database: proxy/src/compute, proxy/src/control_plane/errors.rs of neondatabase/neon. */
const UNREACHED_COMPUTE = [
  "Couldn't connect to compute node",
  'Control plane request failed',
  'Failed to acquire permit to connect to the database',
  'Too many connections to this endpoint',
  'Too many connections attempts',
]

/** Did the proxy find no compute to pass the statement on to? Then it was not executed, and the next attempt may find one. */
export function saysUnreached(message: string): boolean {
  return UNREACHED_COMPUTE.some((words) => message.includes(words))
}
