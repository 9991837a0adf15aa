/** One round trip less for a TLS handshake. */

import type { PeerConnection } from '../driver/peer.ts'

/** In every library there is. An unknown name makes every handshake fail. */
const CLASSIC = 'P-256:X25519:P-384:P-521'
/** All that Node offers with OpenSSL 3.0 to 3.4. */
const OPENSSL_3 = 'P-256:X25519:X448:P-521:P-384:ffdhe2048:ffdhe3072:ffdhe4096:ffdhe6144:ffdhe8192'
/**
 * And since 3.5. `*`: with a key share, so that no further round trip is needed. `?`: omitted if a build of OpenSSL (FIPS) does not support it. `/`:
 * preferred to what follows.
 */
const POST_QUANTUM = '?*X25519MLKEM768/*P-256:?X25519:?X448:P-384:P-521:?ffdhe2048:?ffdhe3072'

/**
 * The groups to offer in the ClientHello. Node guesses X25519, but PostgreSQL up to 17 supports only P-256 and answers with
 * HelloRetryRequest: 8 round trips to the first row instead of 7. PostgreSQL 18 supports both, so a key share for P-256 is never worse.
 * Whatever else Node offers is still offered, for proxies that want it, X25519MLKEM768 first: what is recorded today must not be readable in
 * ten years.
 *
 * @param openssl its version.
 */
export function tlsGroups(openssl: string | undefined): string {
  const [major = 0, minor = 0] = (openssl ?? '').split('.').map(Number)
  if (major > 3 || (major === 3 && minor >= 5)) return POST_QUANTUM
  return major === 3 ? OPENSSL_3 : CLASSIC
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
