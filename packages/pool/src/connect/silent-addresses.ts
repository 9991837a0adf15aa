/**
 * A name with several addresses, one of which accepts connections and then says nothing. Node goes on to the next address only where one does not accept. So an attempt
 * that is made beside a silent one, or after it, begins with the others, as libpq does.
 */

import type { Clock } from '@thaw/core'
import { builtin } from '../driver/builtin.ts'
import type { PeerClient } from '../driver/peer.ts'
import { streamOf } from '../driver/socket.ts'
import { RECHECK_MILLIS } from './hosts.ts'

interface Address {
  readonly address: string
  readonly family: number
}

type Found = (error: Error | null, found?: readonly Address[] | string, family?: number) => void
type Lookup = (name: string, options: { readonly all?: boolean }, done: Found) => void
type Connect = (target: unknown, host?: unknown) => unknown

export class SilentAddresses {
  readonly #clock: Clock
  /** When each was found silent. */
  readonly #addresses = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The attempt takes long. */
  note(client: PeerClient | undefined): void {
    const { remoteAddress } = streamOf(client) ?? {}
    if (remoteAddress) this.#addresses.set(remoteAddress, this.#clock.mono())
  }

  /** It was only slow. */
  answered(client: PeerClient): void {
    this.#addresses.delete(streamOf(client)?.remoteAddress ?? '')
  }

  /** To be called before the client connects. */
  avoid(client: PeerClient): void {
    for (const [address, at] of this.#addresses) if (this.#clock.mono() - at > RECHECK_MILLIS) this.#addresses.delete(address)
    const stream = streamOf(client) as { connect?: Connect } | undefined
    const own = builtin<{ Socket: { prototype: { connect: Connect } } }>('node:net')?.Socket.prototype.connect
    // A stream of the user's finds its own way.
    if (this.#addresses.size === 0 || !stream || !own || stream.connect !== own) return
    stream.connect = (port, host) =>
      typeof host === 'string' ? own.call(stream, { port, host, lookup: this.#lookup }) : own.call(stream, port)
  }

  readonly #lookup: Lookup = (name, options, done) => {
    const dns = builtin<{ lookup: Lookup }>('node:dns')
    dns?.lookup(name, { ...options, all: true }, (error, found) => {
      if (error || !Array.isArray(found)) return done(error)
      const isSilent = ({ address }: Address) => Number(this.#addresses.has(address))
      const sorted: Address[] = found.toSorted((one, other) => isSilent(one) - isSilent(other))
      if (options.all) done(null, sorted)
      else done(null, sorted[0]?.address, sorted[0]?.family)
    })
  }
}
