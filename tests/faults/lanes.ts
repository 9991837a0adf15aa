/** Child processes to freeze, each used by one cell at a time and by many in turn: starting one costs more than most cells. */

import { type FreezableProcess, spawnFreezable } from '@thaw/testkit'

export interface Lanes {
  /** Waits for an unused process, and hands it out. One that throws is replaced, because its state is unknown. */
  use<T>(work: (child: FreezableProcess) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export function createLanes(count: number): Lanes {
  const start = () => spawnFreezable(new URL('./child.ts', import.meta.url))
  const idle: (FreezableProcess | undefined)[] = Array.from({ length: count })
  const waiting: ((child: FreezableProcess | undefined) => void)[] = []
  const giveBack = (child: FreezableProcess | undefined): void => {
    const next = waiting.shift()
    if (next) next(child)
    else idle.push(child)
  }
  return {
    async use(work) {
      const lent = idle.length > 0 ? idle.pop() : await new Promise<FreezableProcess | undefined>((resolve) => waiting.push(resolve))
      let child = lent
      try {
        child ??= await start()
        return await work(child)
      } catch (error) {
        await child?.kill()
        child = undefined
        throw error
      } finally {
        giveBack(child)
      }
    },
    async close() {
      await Promise.all(idle.map((child) => child?.kill()))
    },
  }
}

/** Lets one piece of work run at a time. */
export function createMutex(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const mine = last.then(work)
    last = mine.catch(() => {})
    return mine
  }
}
