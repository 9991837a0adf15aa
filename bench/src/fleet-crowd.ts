/** The crowd of a bench: runtimes in this process, or processes that are stopped between their calls. */

import { spawnFreezable } from '@thaw/testkit'
import { createRuntime, type RuntimeOptions } from './fleet-runtime.ts'

export interface Crowd {
  /** Wakes the runtime, has it make one call, and lets it sleep again. */
  use(index: number, id: string, kind: number): Promise<string[]>
  evicted(): Promise<number>
  end(): Promise<void>
}

/** Connected while they sleep, as frozen functions are; but their clocks go on, and their sockets are read. */
export function gatherPools(runtimes: readonly RuntimeOptions[]): Crowd {
  const pools = runtimes.map(createRuntime)
  return {
    use: async (index, id, kind) => (await pools[index]?.use(id, kind)) ?? [],
    evicted: async () => pools.reduce((all, { evicted }) => all + evicted, 0),
    end: async () => void (await Promise.allSettled(pools.map((pool) => pool.end()))),
  }
}

/** Started a few at a time: each computes for half a second. */
const AT_ONCE = 4

/** Frozen by SIGSTOP: no timer fires, and what the server says waits in the kernel. */
export async function gatherProcesses(runtimes: readonly RuntimeOptions[]): Promise<Crowd> {
  const processes: Awaited<ReturnType<typeof spawnFreezable>>[] = []
  for (let next = 0; next < runtimes.length; next += AT_ONCE) {
    const few = runtimes.slice(next, next + AT_ONCE)
    const started = await Promise.all(few.map(() => spawnFreezable(new URL('./fleet-process.ts', import.meta.url))))
    for (const [i, process] of started.entries()) {
      await process.call('start', few[i])
      await process.freeze()
    }
    processes.push(...started)
  }
  return {
    async use(index, id, kind) {
      const process = processes[index]
      await process?.thaw()
      try {
        return (await process?.call<string[]>('use', { id, kind })) ?? []
      } finally {
        await process?.freeze()
      }
    },
    async evicted() {
      await Promise.all(processes.map((process) => process.thaw()))
      const each = await Promise.all(processes.map((process) => process.call<number>('evicted').catch(() => 0)))
      return each.reduce((all, one) => all + one, 0)
    },
    end: async () => void (await Promise.all(processes.map((process) => process.kill()))),
  }
}
