/** Freezes an app for real, does something to its connections meanwhile, and lets a request wake it up. */

import { type CutKind, type FaultProxy, type FreezableProcess, type PostgresServer, spawnFreezable, startFaultProxy } from '@thaw/testkit'
import type { Answer, Question } from './frozen-app.ts'
import type { PeerName } from './peers.ts'

/** In which state a thawed app finds its connection. */
export interface Fate {
  readonly says: string
  /** Connections that the pool has before the freeze. */
  readonly connections: 0 | 1
  /** How long the connection was silent. */
  readonly gapMillis: number
  readonly cut?: CutKind
}

/** Longer than any trust, shorter than any idle limit. */
const GAP_MILLIS = 3000

export const FATES: Readonly<Record<'none' | 'fresh' | 'alive' | 'fin' | 'rst' | 'dropped', Fate>> = {
  none: { says: 'no connection yet', connections: 0, gapMillis: 0 },
  fresh: { says: 'fresh: used a moment ago', connections: 1, gapMillis: 0 },
  alive: { says: 'silent, but alive', connections: 1, gapMillis: GAP_MILLIS },
  fin: { says: 'dead, the kernel knows (FIN)', connections: 1, gapMillis: GAP_MILLIS, cut: 'fin' },
  rst: { says: 'dead, the kernel knows (RST)', connections: 1, gapMillis: GAP_MILLIS, cut: 'rst' },
  dropped: { says: 'silently dropped', connections: 1, gapMillis: GAP_MILLIS, cut: 'drop' },
}

export interface Woken extends Answer {
  /** Counted at the proxy, from the thaw to the answer. */
  readonly roundTrips: number
}

export interface FrozenLab extends AsyncDisposable {
  readonly proxy: FaultProxy
  /** The first answer after a freeze. */
  wake(peer: PeerName, fate: Fate, ask?: Question['ask']): Promise<Woken>
  /** A plain connection attempt and one query, after a freeze like the others. */
  dial(): Promise<Woken>
}

export async function openFrozenLab(server: PostgresServer): Promise<FrozenLab> {
  const proxy = await startFaultProxy(server)
  const app = await spawnFreezable(new URL('./frozen-app.ts', import.meta.url), { args: [proxy.urlFor(server.url)] })
  await server.query('create table if not exists written (id bigint generated always as identity)')
  return {
    proxy,
    async wake(peer, fate, ask = 'query') {
      await app.call('open', { peer, connections: fate.connections })
      const woken = await freezeAround(app, proxy, 'ask', { peer, ask, gapMillis: fate.gapMillis } satisfies Question, fate.cut)
      await app.call('close')
      return woken
    },
    dial: () => freezeAround(app, proxy, 'dial', undefined, undefined),
    async [Symbol.asyncDispose]() {
      await app.kill()
      await proxy.close()
    },
  }
}

/** The request is there before the bad news is: the app has not looked at its sockets when its first statement leaves. */
async function freezeAround(
  app: FreezableProcess,
  proxy: FaultProxy,
  name: string,
  payload: unknown,
  cut: CutKind | undefined,
): Promise<Woken> {
  await app.freeze()
  const answer = app.call<Answer>(name, payload)
  if (cut) {
    const open = proxy.flows.filter(({ state }) => state === 'open')
    if (proxy.cut(cut, { flows: open }) === 0) throw new Error(`The fault ${cut} struck no connection.`)
    // A FIN leaves in a later turn of this process' own event loop.
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  proxy.counters.reset()
  await app.thaw()
  const { millis, outcome } = await answer
  return { millis, outcome, roundTrips: proxy.counters.roundTrips }
}
