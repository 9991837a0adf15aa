/** At which addresses PostgreSQL itself answers. Until that is known, nothing of the fleet is written but what looks: the session may be a pooler's. */

import { inventsProcessIds } from '@thaw/core'
import { OwnStatement } from '../connection/own-statement.ts'
import type { Vitals } from '../connection/vitals.ts'
import { targetOf } from '../driver/endpoints.ts'
import { activeQueryOf, type PeerClient, sentQueriesOf } from '../driver/peer.ts'

/** Addresses in this process at which it has answered. */
const direct = new Set<string>()

/** Its proxy gives each client a backend of its own, whose process id it invents. */
export function isAtNeon(client: PeerClient): boolean {
  return inventsProcessIds(targetOf(client).host)
}

export function isKnownDirect(client: PeerClient): boolean {
  return direct.has(addressOf(client))
}

export function noteDirect(client: PeerClient, isDirect: boolean): void {
  if (isDirect) direct.add(addressOf(client))
  // There is a pooler now.
  else direct.delete(addressOf(client))
}

function addressOf(client: PeerClient): string {
  const { host, port } = targetOf(client)
  return `${host}:${port}`
}

/** Is nothing on its way, and no transaction open? What is written then is answered next. */
export function isStill(client: PeerClient, vitals: Vitals): boolean {
  const isFree = client.readyForQuery === true && !activeQueryOf(client) && sentQueriesOf(client).length === 0
  return isFree && !vitals.own?.length && vitals.owed === undefined && vitals.status === 'I'
}

const WHO = 'SELECT pg_catalog.pg_backend_pid()'

/** Which is it? For where the look has failed. Calls back, unless the question fails as well. */
export function askWhether(client: PeerClient, told: (isDirect: boolean) => void): OwnStatement {
  return new OwnStatement(WHO, [], ({ row }) => {
    if (row?.[0] == null) return
    const isDirect = isAtNeon(client) || Number(row[0]) === client.processID
    noteDirect(client, isDirect)
    told(isDirect)
  })
}
