/** At which addresses PostgreSQL itself answers. Until that is known, nothing of the fleet is written but what looks: the session may be a pooler's. */

import { inventsProcessIds } from '@thaw/core'
import { OwnStatement } from '../connection/own-statement.ts'
import type { Vitals } from '../connection/vitals.ts'
import { targetOf } from '../driver/endpoints.ts'
import { activeQueryOf, type PeerClient } from '../driver/peer.ts'

/** Addresses at which it has answered. */
export type DirectAddresses = Set<string>
/** In this process. */
const everywhere: DirectAddresses = new Set()

/** With the option `stream`, the host and the port do not say where a connection leads: what one pool has found says nothing to another. */
export function directAddresses({ stream }: { readonly stream?: unknown }): DirectAddresses {
  return stream ? new Set() : everywhere
}

/** Its proxy gives each client a backend of its own, whose process id it invents. */
export function isAtNeon(client: PeerClient): boolean {
  return inventsProcessIds(targetOf(client).host)
}

export function isKnownDirect(direct: DirectAddresses, client: PeerClient): boolean {
  return direct.has(addressOf(client))
}

export function noteDirect(direct: DirectAddresses, client: PeerClient, isDirect: boolean): void {
  if (isDirect) direct.add(addressOf(client))
  // There is a pooler now.
  else direct.delete(addressOf(client))
}

function addressOf(client: PeerClient): string {
  const { host, port } = targetOf(client)
  // One of Neon's endpoints may be named in them.
  return `${host}:${port}:${client.connectionParameters?.options ?? ''}`
}

/** Is nothing on its way, and no transaction open? What is written then is answered next. */
export function isStill(client: PeerClient, vitals: Vitals): boolean {
  const isFree = client.readyForQuery === true && !activeQueryOf(client)
  return isFree && !vitals.own?.length && vitals.owed === undefined && vitals.status === 'I'
}

const WHO = 'SELECT pg_catalog.pg_backend_pid()'

/** Which is it? For where the look has failed. Calls back, unless the question fails as well. */
export function askWhether(direct: DirectAddresses, client: PeerClient, told: (isDirect: boolean) => void): OwnStatement {
  return new OwnStatement(WHO, [], ({ row }) => {
    if (row?.[0] == null) return
    const isDirect = isAtNeon(client) || Number(row[0]) === client.processID
    noteDirect(direct, client, isDirect)
    told(isDirect)
  })
}
