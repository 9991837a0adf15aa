/**
 * What this app is for, on a developer's machine: the process is frozen, the connections to its database die meanwhile, and the shop goes on. The
 * freezing is done from outside, by the process that started the app (src/local/start.ts). It never happens in production.
 */

import { db, pool } from './database.ts'
import { orders } from './schema.ts'

/** What the process went through, and what became of the requests after it. */
export interface Ordeal {
  readonly frozenMillis: number
  readonly cut: number
  readonly calls: number
  readonly failed: number
  readonly slowestMillis: number
  readonly dials: number
}

const CALLS = 50

/** Is there a parent that freezes this process on request? */
export function canFreeze(): boolean {
  return process.env.FREEZER_URL !== undefined && process.env.VERCEL === undefined
}

/** Fills the pool, asks to be frozen and cut, and sends fifty queries at once when it is over. */
export async function freezeAndCut(): Promise<Ordeal> {
  if (!canFreeze()) throw new Error('This process cannot be frozen: it was not started by "pnpm --filter app-vercel start".')
  await queryAtOnce()
  const response = await fetch(`${process.env.FREEZER_URL}`, { method: 'POST', body: JSON.stringify({ pid: process.pid }) })
  const { frozenMillis, cut } = (await response.json()) as { frozenMillis: number; cut: number }
  const { connected } = pool.stats()
  const took = await queryAtOnce()
  const failed = took.filter((millis) => millis === undefined).length
  const slowestMillis = Math.round(Math.max(...took.map((millis) => millis ?? 0)))
  return { frozenMillis, cut, calls: CALLS, failed, slowestMillis, dials: pool.stats().connected - connected }
}

/** How long each took, in milliseconds; undefined: it failed. */
function queryAtOnce(): Promise<(number | undefined)[]> {
  const began = performance.now()
  const query = async () => {
    try {
      await db.$count(orders)
      return performance.now() - began
    } catch (error) {
      console.error(error)
      return undefined
    }
  }
  return Promise.all(Array.from({ length: CALLS }, query))
}
