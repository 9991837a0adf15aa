/** BEGIN for what cannot go out together with it: a text of several statements, COPY, a cursor, a savepoint. Nothing of it takes its time, so no answer needs no proof. */

import { lossOf } from '../connection/lost-statement.ts'
import type { PeerClient } from '../driver/peer.ts'
import { ASK_WHO, askWho, type Backend, backendOf, knownBackend, tellsNothing } from './backend.ts'
import { type FlightHost, fly, flyOwn } from './flight.ts'
import { type FlightTag, noteRefused, tagOf } from './flight-tag.ts'
import { takesNoSnapshot } from './who-first.ts'

interface Host extends FlightHost {
  tells: boolean | undefined
}

/**
 * Asks who the server is, should what comes next fall silent. Returns the tag that it has taken along, in the same round trip.
 *
 * @param begin undefined: it has begun, and is only asked.
 * @param text what goes behind it. Undefined: a savepoint, behind which there may be anything.
 */
export async function beginAlone(
  client: PeerClient,
  host: Host,
  begin: string | undefined,
  text: string | undefined,
  told: (backend: Backend | undefined) => void,
): Promise<FlightTag | undefined> {
  const mayAsk = text !== undefined && host.tells !== false && !knownBackend(client)
  const isEarly = mayAsk && takesNoSnapshot(text)
  // Ahead of BEGIN: in the transaction it would take the snapshot. A pooler may lead it to another backend.
  if (isEarly && begin && host.memory.isDirect !== false) {
    const { results, error } = await fly(client, host, [ASK_WHO], { text: 'BEGIN', isAnsweredAtOnce: true })
    if (error && !tellsNothing(error)) throw error
    if (error) noteRefused(host, undefined, error)
    else told(backendOf(results[0]))
  }
  const asks = mayAsk && !isEarly
  const tag = asks ? tagOf(host.memory, host.settings.clock) : undefined
  const before = begin ? [{ config: begin }] : []
  const statements = asks ? [...before, askWho(tag)] : before
  const { results, error, failedAt } = await fly(client, host, statements, { text: 'BEGIN', shown: begin, isAnsweredAtOnce: true })
  if (asks && !error) told(backendOf(results.at(-1)))
  if (!error) return tag
  const isRefused = asks && failedAt === before.length && !lossOf(error) && tellsNothing(error)
  if (isRefused) noteRefused(host, tag, error)
  if (!isRefused || !begin) throw error
  await flyOwn(client, host, 'ROLLBACK')
  return beginAlone(client, host, begin, text, told)
}
