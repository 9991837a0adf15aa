/** Is what pg has made of a read what was judged to be one? Its caller may have changed the configuration since, or a getter in it has told something else. */

import type { PeerQuery } from '../driver/peer.ts'
import type { Shareable } from './shared-connection.ts'

export function isAsJudged(query: PeerQuery, { text, name }: Shareable): boolean {
  return query.text === text && (query.name || undefined) === name && !query.rows && !query.portal
}
