/** One round trip less for a TLS handshake. */

import type { PeerConnection } from './peer.ts'

/**
 * The groups offered in the ClientHello, best first. Node guesses X25519, but PostgreSQL up to 17 knows P-256 only and
 * answers with HelloRetryRequest: 8 round trips to the first row instead of 7. PostgreSQL 18 knows both, so P-256 first is
 * never worse. The rest stays offered for proxies that want something else.
 */
export const TLS_GROUPS = 'P-256:X25519:P-384:P-521'

/** Offers P-256 first, unless the user has chosen the groups. The user's own `ssl` object is not touched. */
export function preferP256(connection: PeerConnection): void {
  const { ssl } = connection
  if (!ssl || (ssl !== true && 'ecdhCurve' in ssl)) return
  // Not a spread: pg hides the private key by making it non-enumerable.
  const copy = ssl === true ? {} : Object.defineProperties({}, Object.getOwnPropertyDescriptors(ssl))
  connection.ssl = Object.assign(copy, { ecdhCurve: TLS_GROUPS })
}
