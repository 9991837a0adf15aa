/**
 * What the lab did to an instance, and when. The proxy, the database and the process are handed to the faults as they are, but
 * watched, so that a new fault is recorded without a word about it.
 */

import type { FaultProxy, Flow, FreezableProcess } from '@thaw/testkit'
import type { Database } from '../database.ts'
import { sharedMillis, toShared } from './shared-clock.ts'

/** How connections can be struck. */
export type BlowKind = Parameters<FaultProxy['cut']>[0] | 'away' | 'terminated' | 'restarted' | 'lost-request' | 'lost-answer'

/** Connections were struck. Times are on the shared clock. */
export interface Blow {
  readonly kind: BlowKind
  readonly atMillis: number
  /** Which connections died of it, by the id of their flow, and when exactly. */
  readonly deaths: ReadonlyMap<number, number>
}

/** What can be wrong with the world for a while. */
export type TroubleKind = 'refusing' | 'deaf' | 'restarting' | 'locked' | 'nameless'

/** Something was wrong for a while. */
export interface Trouble {
  readonly kind: TroubleKind
  readonly fromMillis: number
  /** `undefined`: to the end. */
  toMillis?: number
}

/** A time for which the process was certainly frozen: from when the kernel had stopped it to when it was told to go on. */
export interface FreezeRecord {
  readonly fromMillis: number
  toMillis?: number
}

/** Watches what is done to one instance. */
export interface Witness {
  readonly blows: readonly Blow[]
  readonly troubles: readonly Trouble[]
  readonly freezes: readonly FreezeRecord[]
  proxy(proxy: FaultProxy): FaultProxy
  /** `proxy` is the one that leads to it. */
  database(database: Database, proxy: FaultProxy): Database
  instance(instance: FreezableProcess): FreezableProcess
}

/** Makes a witness that has seen nothing yet. */
export function createWitness(): Witness {
  const blows: Blow[] = []
  const troubles: Trouble[] = []
  const freezes: FreezeRecord[] = []
  const begin = (kind: TroubleKind): Trouble => {
    const trouble: Trouble = { kind, fromMillis: sharedMillis() }
    troubles.push(trouble)
    return trouble
  }
  return {
    blows,
    troubles,
    freezes,
    proxy: (proxy) => watchProxy(proxy, blows, begin),
    database: (database, proxy) => watchDatabase(database, proxy, blows, begin),
    instance: (instance) =>
      over(instance, {
        async freeze() {
          await instance.freeze()
          freezes.push({ fromMillis: sharedMillis() })
        },
        thaw() {
          const last = freezes.at(-1)
          if (last) last.toMillis = sharedMillis()
          return instance.thaw()
        },
      }),
  }
}

type Begin = (kind: TroubleKind) => Trouble

function watchProxy(proxy: FaultProxy, blows: Blow[], begin: Begin): FaultProxy {
  let closedDoor: Trouble | undefined
  const struckBy = (kind: BlowKind, strike: () => number): number => {
    const before = proxy.flows.map((flow) => ({ flow, state: flow.state }))
    const atMillis = sharedMillis()
    const count = strike()
    const struck = before.filter(({ flow, state }) => flow.state !== state)
    if (struck.length > 0) blows.push({ kind, atMillis, deaths: new Map(struck.map(({ flow }) => [flow.id, atMillis])) })
    return count
  }
  const shut = (kind: TroubleKind): void => {
    closedDoor ??= begin(kind)
  }
  const sprung = (kind: BlowKind, struck: Promise<Flow>): void => {
    void struck.then(({ id }) => {
      const atMillis = sharedMillis()
      blows.push({ kind, atMillis, deaths: new Map([[id, atMillis]]) })
    })
  }
  return over(proxy, {
    cut: (kind, options) => struckBy(kind, () => proxy.cut(kind, options)),
    refuse() {
      shut('refusing')
      proxy.refuse()
    },
    deafen() {
      shut('deaf')
      return proxy.deafen()
    },
    away() {
      shut('refusing')
      return struckBy('away', () => proxy.away())
    },
    async accept() {
      await proxy.accept()
      if (closedDoor) closedDoor.toMillis = sharedMillis()
      closedDoor = undefined
    },
    loseNextRequest(options) {
      const ambush = proxy.loseNextRequest(options)
      sprung('lost-request', ambush.struck)
      return ambush
    },
    loseNextAnswer(options) {
      const ambush = proxy.loseNextAnswer(options)
      sprung('lost-answer', ambush.struck)
      return ambush
    },
  })
}

function watchDatabase(database: Database, proxy: FaultProxy, blows: Blow[], begin: Begin): Database {
  const ended = async <T>(kind: BlowKind, end: () => Promise<T>): Promise<T> => {
    const open = proxy.flows.filter(({ state }) => state === 'open')
    const atMillis = sharedMillis()
    const result = await end()
    blows.push({ kind, atMillis, deaths: lastBytes(open, atMillis) })
    return result
  }
  const { restart } = database
  return over<Database>(database, {
    terminateSessions: () => ended('terminated', database.terminateSessions),
    async lockTable() {
      const lock = await database.lockTable()
      const trouble = begin('locked')
      return {
        async [Symbol.asyncDispose]() {
          await lock[Symbol.asyncDispose]()
          trouble.toMillis = sharedMillis()
        },
      }
    },
    ...(restart && {
      async restart() {
        const trouble = begin('restarting')
        await ended('restarted', restart)
        trouble.toMillis = sharedMillis()
      },
    }),
  })
}

/** When the server's last bytes came on each connection; it sends some when it ends a session. */
function lastBytes(flows: readonly Flow[], sinceMillis: number): ReadonlyMap<number, number> {
  const now = sharedMillis()
  return new Map(
    flows.map(({ id, chunks }) => {
      const last = chunks.findLast(({ direction, atMillis }) => direction === 'to-client' && toShared(atMillis) >= sinceMillis)
      return [id, last ? toShared(last.atMillis) : now]
    }),
  )
}

// The rest stays as it is, live getters included.
function over<T extends object>(original: T, changes: Partial<T>): T {
  const watched: T = Object.create(original)
  return Object.assign(watched, changes)
}
