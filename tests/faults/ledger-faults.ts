/** A random schedule of faults for the ledger test, the same for the same seed. */

import { setTimeout as sleep } from 'node:timers/promises'
import {
  type CutKind,
  createSeededRandom,
  type FaultProxy,
  type FreezableProcess,
  type PostgresServer,
  type SuddenCut,
} from '@thaw/testkit'

/** One of the runtimes that write. */
export interface Runtime {
  readonly id: string
  readonly child: FreezableProcess
  readonly proxy: FaultProxy
}

/** Where the faults strike. */
export interface Battlefield {
  readonly server: PostgresServer
  readonly runtimes: readonly Runtime[]
}

interface Chance {
  /** In [0, 1). */
  random(): number
  pick<T>(from: readonly T[]): T
  /** Milliseconds between `least` and `most`. */
  millis(least: number, most: number): number
}

type Fault = (runtime: Runtime, field: Battlefield, chance: Chance) => Promise<void> | void

const CUTS: readonly CutKind[] = ['fin', 'rst', 'fin-on-next-byte', 'rst-on-next-byte', 'drop']
const SUDDEN_CUTS: readonly SuddenCut[] = ['fin', 'rst', 'drop']
const LEAST_PAUSE_MILLIS = 20
const MOST_PAUSE_MILLIS = 250

const FAULTS: Readonly<Record<string, Fault>> = {
  async cutAll({ proxy }, _, { pick }) {
    proxy.cut(pick(CUTS))
  },
  async cutSome({ proxy }, _, { pick, random }) {
    proxy.cut(pick(CUTS), { flows: proxy.flows.filter(() => random() < 0.4) })
  },
  loseRequests: ({ proxy }, _, { pick }) => {
    for (let count = pick([1, 2, 3]); count > 0; count--) proxy.loseNextRequest({ cut: pick(SUDDEN_CUTS) })
  },
  loseAnswers: ({ proxy }, _, { pick, random }) => {
    const until = pick(['first-bytes', 'ready-for-query'] as const)
    for (let count = pick([1, 2, 3]); count > 0; count--)
      proxy.loseNextAnswer({ cut: pick(SUDDEN_CUTS), until, ...(random() < 0.3 && { afterBytes: 20 }) })
  },
  loseCommit: ({ proxy }, _, { pick }) => {
    const lose = pick(['loseNextRequest', 'loseNextAnswer'] as const)
    proxy[lose]({ containing: 'COMMIT', cut: pick(SUDDEN_CUTS) })
  },
  async freeze({ child }, _, { millis }) {
    await child.freeze()
    await sleep(millis(20, 900))
    await child.thaw()
  },
  async freezeAndCut({ child, proxy }, _, { pick, millis }) {
    await child.freeze()
    proxy.cut(pick(CUTS))
    await sleep(millis(20, 900))
    await child.thaw()
  },
  async freezeAndTerminate(runtime, { server }, { millis }) {
    await runtime.child.freeze()
    await terminate(server, runtime, 1)
    await sleep(millis(20, 900))
    await runtime.child.thaw()
  },
  terminateAll: (runtime, { server }) => terminate(server, runtime, 1),
  terminateSome: (runtime, { server }, { random }) => terminate(server, runtime, random()),
  async away({ proxy }, _, { millis }) {
    proxy.away()
    await sleep(millis(20, 500))
    await proxy.accept()
  },
  async deafen({ proxy }, _, { millis }) {
    await proxy.deafen()
    await sleep(millis(20, 300))
    await proxy.accept()
    // What was accepted deaf stays deaf.
    proxy.cut('rst')
  },
  restartFast: (_, { server }) => server.restart('fast'),
  restartImmediate: (_, { server }) => server.restart('immediate'),
  // Without a farewell: the postmaster ends all others, and recovers by itself.
  async killBackend({ id }, { server }) {
    const { rows } = await server.query<{ pid: number }>('SELECT pid FROM pg_stat_activity WHERE application_name = $1 LIMIT 1', [id])
    for (const { pid } of rows) killHard(pid)
    await untilRecovered(server)
  },
}

/** It may have ended by itself meanwhile. */
function killHard(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {}
}

async function untilRecovered(server: PostgresServer): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const isBack = await server.query('SELECT 1').then(
      () => true,
      () => false,
    )
    if (isBack) return
    await sleep(50)
  }
  throw new Error('The server did not recover within 10 s')
}

/** Restarts strike both runtimes for half a second: every so many faults there is one, for sure. */
const RESTART_EVERY = 12

/** Lets so many faults strike, one after the other. Returns how often each did. `staysUp`: the server itself is spared. */
export async function strike(
  field: Battlefield,
  count: number,
  seed: number,
  { staysUp = false }: { readonly staysUp?: boolean } = {},
): Promise<Readonly<Record<string, number>>> {
  const struck: Record<string, number> = {}
  const restarts = ['restartFast', 'restartImmediate', 'killBackend']
  const others = Object.keys(FAULTS).filter((name) => !restarts.includes(name))
  for (let index = 1; index <= count; index++) {
    // Each fault its own: how many numbers one draws depends on what it finds.
    const chance = createChance(seed + index * 1000)
    const name = chance.pick(index % RESTART_EVERY === 0 && !staysUp ? restarts : others)
    struck[name] = (struck[name] ?? 0) + 1
    await FAULTS[name]?.(chance.pick(field.runtimes), field, chance)
    // The schedule's own pace: nothing is waited for.
    await sleep(chance.millis(LEAST_PAUSE_MILLIS, MOST_PAUSE_MILLIS))
  }
  return struck
}

async function terminate(server: PostgresServer, { id }: Runtime, share: number): Promise<void> {
  await server.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND random() < $2', [id, share])
}

function createChance(seed: number): Chance {
  const random = createSeededRandom(seed)
  return {
    random,
    pick<T>(from: readonly T[]): T {
      return from[Math.floor(random() * from.length)] as T
    },
    millis: (least, most) => least + random() * (most - least),
  }
}
