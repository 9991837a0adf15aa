/** What a pool does before it makes its first client: its clients are watched, and it joins its fleet, if the option names one. */

import { OptionError } from '@thaw/core'
import type { Memory } from '../connection/pool-context.ts'
import { isWatched } from '../connection/vitals.ts'
import { watchedClient } from '../connection/watched-client.ts'
import type { Driver } from '../driver/driver.ts'
import type { PeerPool, PendingItem } from '../driver/peer.ts'
import type { Settings } from '../options/options.ts'
import { directAddresses } from './direct-address.ts'
import { fleetOf } from './fleet-options.ts'
import { memberClient } from './member-client.ts'
import { Membership } from './membership.ts'
import { Turns } from './turns.ts'

/**
 * Has the pool's clients watched: ours, unless the user has given another class. Those of a member are also of a class that knows of its fleet. Undefined: the pool is in none.
 *
 * @throws {OptionError} naming what is wrong with the option, or with the class.
 */
export function joinFleet(
  pool: PeerPool<PendingItem>,
  { Client, PoolClient, checkClient }: Pick<Driver, 'Client' | 'PoolClient' | 'checkClient'>,
  config: object,
  settings: Settings,
  memory: Memory,
): Membership | undefined {
  checkClient(pool.Client)
  const fleet = fleetOf(config, settings.trustMillis)
  const membership = fleet && new Membership(fleet, settings.clock, memory, new Turns(settings.clock, pool), directAddresses(config))
  const Watched = watchedClient(pool.Client === (Client as unknown) ? PoolClient : pool.Client)
  if (membership && !isWatched((Watched as { prototype?: object }).prototype ?? {})) throw new OptionError(NOT_OURS)
  pool.Client = (membership ? memberClient(Watched, membership, settings) : Watched) as typeof pool.Client
  return membership
}

/** Nothing of ours can be sent on what it makes. */
const NOT_OURS = {
  option: 'Client',
  allowed: 'a class that extends the driver\'s Client, with "fleet"',
  message:
    'Option "fleet" needs the class of its clients, and "Client" is a function that makes something else. Pass a class that extends Client, or leave one of the two out.',
}
