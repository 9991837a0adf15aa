/** What this app demonstrates: a user has logged in, the process is frozen, its connections die meanwhile, it thaws, and the user logs in again and orders. */

import { setTimeout as sleep } from 'node:timers/promises'
import { type CutKind, type FaultProxy, freezePid, type PostgresServer, thawPid } from '@thaw/testkit'
import { type Answer, customerOf, storedFor } from './customer.ts'
import type { Driver, RunningApp } from './running-app.ts'

/** Longer than Thaw trusts a connection unasked. */
const FREEZE_MILLIS = 600
/** After that a request that waits on silence counts as hanging. */
const CAP_MILLIS = 2_000

export interface Scene {
  readonly driver: Driver
  readonly app: RunningApp
  readonly server: PostgresServer
  readonly proxy: FaultProxy
  readonly cut: CutKind
}

/** What became of it. */
export interface Ending {
  /** How many connections were cut. */
  readonly struck: number
  /** The answers to the login and the three orders that came while the process was frozen, and to a login and an order after them. */
  readonly answers: readonly (number | 'hangs')[]
  /** What was ordered, by the table. */
  readonly stored: readonly string[]
}

export async function freezeAndCut({ driver, app, server, proxy, cut }: Scene): Promise<Ending> {
  const customer = customerOf(app)
  const ending = (answer: Promise<Answer>) => (driver === 'pg' && cut === 'drop' ? capped(statusOf(answer)) : statusOf(answer))
  await customer.register()
  // At once, so that there are several connections.
  await Promise.all([customer.orders(), customer.orders(), customer.orders()])
  await freezePid(app.pid)
  const struck = proxy.cut(cut)
  await sleep(FREEZE_MILLIS)
  const waking = Promise.all([customer.login(), customer.order('tea'), customer.order('milk'), customer.order('sugar')].map(ending))
  await thawPid(app.pid)
  const answers = await waking
  answers.push(await ending(customer.login()), await ending(customer.order('coffee')))
  return { struck, answers, stored: await storedFor(server, customer) }
}

async function statusOf(answer: Promise<Answer>): Promise<number> {
  return (await answer).status
}

/** For plain `pg`, which waits on a silent connection for as long as the kernel does: a quarter of an hour. */
async function capped(status: Promise<number>): Promise<number | 'hangs'> {
  const answered = new AbortController()
  const hangs = sleep(CAP_MILLIS, 'hangs' as const, { signal: answered.signal }).catch(() => 'hangs' as const)
  return Promise.race([status, hangs]).finally(() => answered.abort())
}
