/** A client that belongs to no pool: it has no siblings, no events and no retry budget. */

import { createStatementCache, elapsedMillis, read, systemClock } from '@thaw/core'
import { limitLogin } from './connect/limit-login.ts'
import { watch } from './connection/vitals.ts'
import { attach } from './connection/watched-client.ts'
import type { Driver } from './driver/driver.ts'
import type { PeerClient } from './driver/peer.ts'
import { requestCancel } from './inquiry/cancel-request.ts'
import { settingsAlone } from './options/options.ts'

const classify = createStatementCache()

/**
 * Watches it from its construction on. Call it in the constructor of a class that `watchedClient` has made.
 *
 * @throws {OptionError} naming what is wrong with `trustMillis` or `probeTimeoutMillis`.
 */
export function watchAlone(client: PeerClient, driver: Pick<Driver, 'connectionFor' | 'goesWhereTold'>, config?: object | string): void {
  const clock = systemClock
  const options = typeof config === 'object' ? (config ?? {}) : {}
  const { trustMillis, probeTimeoutMillis } = settingsAlone(options)
  limitLogin(client, clock)
  const vitals = watch(client, clock, 0, Number.POSITIVE_INFINITY)
  attach(client, vitals, {
    clock,
    probeTimeoutMillis,
    classify,
    isDirect: false,
    isAlone: true,
    mustProve: () => elapsedMillis(vitals.provenAt, read(clock)) >= trustMillis,
    strayed() {},
    requestCancel: () => requestCancel(client, clock, driver, options),
    ended() {},
    reported() {},
  })
}
