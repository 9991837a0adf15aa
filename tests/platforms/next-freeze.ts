/** Freezes a server of Next.js, kills its connections to the database, and sends it fifty requests to wake up to. */

import { setTimeout as sleep } from 'node:timers/promises'
import { type FaultProxy, freezePid, type PostgresServer, thawPid, waitForSessions } from '@thaw/testkit'
import { deliver, type NextServer } from './next-server.ts'

/** Of the pools of the app. */
export const MAX = 5
const REQUESTS = 50
/** Longer than a connection is trusted unasked. */
const FREEZE_MILLIS = 700

export interface Setting {
  readonly next: NextServer
  /** The app's name at the server. */
  readonly name: string
  readonly server: PostgresServer
  readonly proxy: FaultProxy
}

/** What became of the requests. */
export interface Awakening {
  /** Connections that died, by the proxy's count. */
  readonly struck: number
  /** Connections that came after that. */
  readonly dials: number
  readonly failed: number
}

export async function freezeAndWake({ next, name, server, proxy }: Setting, driver: 'pg' | 'thaw'): Promise<Awakening> {
  const url = `${next.url}/api/orders/${driver}`
  await Promise.all(Array.from({ length: REQUESTS }, () => fetch(url)))
  await waitForSessions(server, `${name}-${driver}`, MAX)
  await freezePid(next.pid)
  try {
    const requests = await Promise.all(Array.from({ length: REQUESTS }, () => deliver(url)))
    await sleep(FREEZE_MILLIS)
    const struck = proxy.cut('rst-on-next-byte')
    const known = proxy.flows.length
    await thawPid(next.pid)
    const answers = await Promise.all(requests.map(({ answer }) => answer))
    return { struck, dials: proxy.flows.length - known, failed: answers.filter(({ status }) => status !== 200).length }
  } finally {
    await thawPid(next.pid)
  }
}
