import { setTimeout as sleep } from 'node:timers/promises'

const LIMIT_MILLIS = 30_000
const POLL_MILLIS = 2

/** Waits for something that a socket, a process or the server shows a moment later. Throws, naming it, after thirty seconds. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const limit = performance.now() + LIMIT_MILLIS
  while (!(await isSo())) {
    if (performance.now() > limit) throw new Error(`Waited ${LIMIT_MILLIS} ms, but not yet: ${what}.`)
    await sleep(POLL_MILLIS)
  }
}
