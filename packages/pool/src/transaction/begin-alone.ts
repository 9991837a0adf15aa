/** BEGIN for what cannot go out together with it: a text of several statements, COPY, a cursor. */

import { codeOf } from '@thaw/core'
import { lossOf } from '../connection/lost-statement.ts'
import type { PeerClient } from '../driver/peer.ts'
import { knownBackend, RAW } from './backend.ts'
import { type FlightHost, fly } from './flight.ts'
import { type FlightTag, isTagRefused, tagging, tagOf } from './flight-tag.ts'
import { takesNoSnapshot } from './who-first.ts'

interface Host extends FlightHost {
  readonly tells: boolean | undefined
}

/** Returns the tag that it has taken along, in the same round trip. `text`: what goes behind it. Undefined: a savepoint, behind which there may be anything. */
export async function beginAlone(client: PeerClient, host: Host, begin: string, text: string | undefined): Promise<FlightTag | undefined> {
  const isFound = host.tells === false || knownBackend(client)
  const tag =
    isFound || client.pipeline || text === undefined || takesNoSnapshot(text) ? undefined : tagOf(host.memory, host.settings.clock)
  if (tag) {
    const takeTag = { config: { text: `SELECT ${tagging(1)}`, values: tag, types: RAW } }
    const { error, failedAt } = await fly(client, host, [{ config: begin }, takeTag], { text: begin })
    if (!error) return tag
    if (failedAt === 0 || lossOf(error)) throw error
    isTagRefused(host.memory, tag, codeOf(error))
    await client.query('ROLLBACK')
  }
  await client.query(begin)
  return undefined
}
