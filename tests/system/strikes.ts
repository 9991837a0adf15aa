/** Sends requests to a server whose connections to the database die between two of them. */

import { setTimeout as sleep } from 'node:timers/promises'
import { type FaultProxy, type PostgresServer, sessionsOf, terminateSessions } from '@thaw/testkit'
import { until } from '../faults/until.ts'

/** How the idle connections die. `terminate`: by an administrator, who says so. `drop`: no word of it ever comes. */
export const STRIKES = ['terminate', 'fin', 'rst', 'fin-on-next-byte', 'rst-on-next-byte', 'drop'] as const
export type Strike = (typeof STRIKES)[number]

export const AT_ONCE = 8
/** Longer than a connection is trusted unasked. */
const SILENCE_MILLIS = 700
/** Enough to call it hanging: the others answer in milliseconds. */
const HANGING_MILLIS = 3_000

export interface Setting {
  readonly server: PostgresServer
  readonly proxy: FaultProxy
  /** The app's name at the server. */
  readonly app: string
}

/** What became of the requests. */
export interface Aftermath {
  /** Connections that died. */
  readonly struck: number
  /** What the failed ones said, of eight at once and one after them. */
  readonly failed: readonly string[]
}

/** Eight requests at once, silence, the strike, eight at once and one more. The first eight have to succeed. */
export async function strike(url: string, how: Strike, { server, proxy, app }: Setting): Promise<Aftermath> {
  const before = await Promise.all(Array.from({ length: AT_ONCE }, () => ask(url)))
  if (before.some((failure) => failure !== undefined)) throw new Error(`${url} does not work without any fault.\n${before.join('\n')}`)
  await sleep(SILENCE_MILLIS)
  const struck = how === 'terminate' ? await terminate(server, app) : proxy.cut(how)
  const together = await Promise.all(Array.from({ length: AT_ONCE }, () => ask(url)))
  return { struck, failed: [...together, await ask(url)].filter((failure) => failure !== undefined) }
}

async function terminate(server: PostgresServer, app: string): Promise<number> {
  const struck = await terminateSessions(server, app)
  await until('the sessions have ended', async () => (await sessionsOf(server, app)).length === 0)
  return struck
}

/** Sends a request. Why it failed; undefined if it did not. */
export async function ask(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(HANGING_MILLIS) })
    const text = await response.text()
    return response.status === 200 ? undefined : `${response.status} ${text.slice(0, 200)}`
  } catch (error) {
    return String(error)
  }
}
