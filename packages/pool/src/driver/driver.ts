/** What the pool leans on of its driver: pg itself, or one that is made of pg's code, such as Neon's. */

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
  /** For a question on a connection of its own. */
  readonly Client: new (
    options: object,
  ) => PeerClient
  /** A statement of the driver's own making: one whose wait is nobody's fault but the server's. */
  readonly Query: abstract new (
    ...values: never[]
  ) => object
  /** What the server's errors are. */
  readonly DatabaseError: abstract new (
    ...values: never[]
  ) => Error
  /**
   * A connection like the client's, not open yet. `stream` is the user's option of that name: what makes the client's sockets makes this one's.
   * Undefined: no second one can be made.
   */
  connectionFor(client: PeerClient, stream: unknown): CancelConnection | undefined
  /** Does a stream that the user made go to the address that it is told, as the driver's own does, or find its way by itself? */
  goesWhereTold(stream: PeerStream): boolean
  /** @throws {OptionError} where clients of that class cannot be watched. */
  checkClient(Client: { readonly name: string; readonly prototype?: object }): void
}
