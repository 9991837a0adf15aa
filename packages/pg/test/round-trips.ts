/** What crosses the wire, by a proxy's count. */

import type { FaultProxy } from '@thaw/testkit'

/** How many round trips there are while `work` runs. */
export async function roundTripsAt(proxy: FaultProxy, work: () => Promise<unknown>): Promise<number> {
  const before = proxy.counters.roundTrips
  await work()
  return proxy.counters.roundTrips - before
}
