/** One round trip less for a TLS handshake. */

import type { PeerConnection } from '../driver/peer.ts'

const CLASSIC = 'P-256:X25519:P-384:P-521'
/**
 * `*`: with a key share, so that no further round trip is needed. `?`: omitted if a build of OpenSSL (FIPS) does not support it. `/`:
 * preferred to what follows.
 */
const POST_QUANTUM = '?*X25519MLKEM768/*P-256:X25519:P-384:P-521'

/**
 * The groups to offer in the ClientHello. Node guesses X25519, but PostgreSQL up to 17 supports only P-256 and answers with
 * HelloRetryRequest: 8 round trips to the first row instead of 7. PostgreSQL 18 supports both, so a key share for P-256 is never worse. The
 * other groups are still offered, for proxies that want something else. So is X25519MLKEM768, which Node offers first if its OpenSSL has
 * it: what is recorded today must not be readable in ten years.
 *
 * @param openssl its version. Before 3.5 an unknown name, or these marks, make every handshake fail.
 */
export function tlsGroups(openssl: string | undefined): string {
  const [major = 0, minor = 0] = (openssl ?? '').split('.').map(Number)
  return major > 3 || (major === 3 && minor >= 5) ? POST_QUANTUM : CLASSIC
}

export const TLS_GROUPS: string = tlsGroups((globalThis as { process?: { versions?: { openssl?: string } } }).process?.versions?.openssl)

/** Offers a key share for P-256, unless the user has chosen the groups. The user's own `ssl` object is not changed. */
export function preferP256(connection: PeerConnection): void {
  const { ssl } = connection
  if (!ssl || (ssl !== true && 'ecdhCurve' in ssl)) return
  // Not a spread: pg hides the private key by making it non-enumerable.
  const copy = ssl === true ? {} : Object.defineProperties({}, Object.getOwnPropertyDescriptors(ssl))
  connection.ssl = Object.assign(copy, { ecdhCurve: TLS_GROUPS })
}
