/** What the pool needs of its driver: pg itself, or one that is built on pg's code, such as Neon's. */

import type { PeerClient, PeerConnection, PeerPool, PeerStream } from './peer.ts'
import type { Waiter } from './waiter.ts'

/** A connection that is not open yet. */
export interface CancelConnection extends PeerConnection {
  connect(port: number | string, host?: string): void
  requestSsl(): void
  cancel(processID: number, secretKey: unknown): void
}

export interface Driver {
  /** The class that users look for with `instanceof`. */
  readonly Pool: new (
    options?: object,
  ) => PeerPool<Waiter>
  /** Can it be told another host for each connection? Default: no. */
  readonly choosesHost?: boolean
  /** For a query on a separate connection. */
  readonly Client: new (
    options: object,
  ) => PeerClient
  /** Our own Client over it, which pools make unless they are given another: what is put on its prototype, by a tool or a test, is there for all. */
  readonly PoolClient: new (
    options?: never,
  ) => object
  /** A statement of the driver's own class: only the server can make it wait. */
  readonly Query: abstract new (
    ...values: never[]
  ) => object
  /** The class of the server's errors. */
  readonly DatabaseError: abstract new (
    ...values: never[]
  ) => Error
  /**
   * A connection like the client's, not open yet. `stream` is the user's option of that name: it makes this connection's socket as it made
   * the client's. Undefined: a second one cannot be made.
   */
  connectionFor(client: PeerClient, stream: unknown): CancelConnection | undefined
  /** Does a stream that the user made connect to the address that it is given, as the driver's own does, or find its own way? */
  goesWhereTold(stream: PeerStream): boolean
  /** @throws {OptionError} if clients of that class cannot be watched. */
  checkClient(Client: { readonly name: string; readonly prototype?: object }): void
}
