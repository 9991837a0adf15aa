/** Sixty functions that are frozen between their calls, on a server of twenty sessions: who is told that there are too many clients already? */

import { randomUUID } from 'node:crypto'
import { spawnFreezable, startPostgres } from '@thaw/testkit'
import type { OrderEvent } from './handler.ts'
import type { Driver } from './round.ts'

/** How large it is. */
export interface CrowdOptions {
  readonly functions: number
  readonly sessions: number
  /** How often each function is called. */
  readonly rounds: number
}

/** What came of it. */
export interface CrowdFigures {
  readonly calls: number
  readonly failed: number
  /** What callers were told, and how often. */
  readonly errors: Readonly<Record<string, number>>
  readonly worstMillis: number
  /** Orders that were confirmed and are not there once. */
  readonly astray: number
  /** The most sessions at the end of a call. */
  readonly mostSessions: number
}

export const CROWD: CrowdOptions = { functions: 60, sessions: 20, rounds: 2 }
/** Functions of one process. They are frozen and thawed together. */
const PER_PROCESS = 10
const INSTANCE = new URL('./crowd-instance.ts', import.meta.url)

/** Calls one function after the other. Each process is frozen before and after its call. */
export async function playCrowd(driver: Driver, { functions, sessions, rounds }: CrowdOptions): Promise<CrowdFigures> {
  // As many as there are for everybody: three more are kept for superusers.
  await using server = await startPostgres({ settings: { max_connections: sessions + 3 } })
  await server.query('create table orders (number bigint generated always as identity, token text, line int, item text)')
  await server.query("create role app login password 'app'")
  await server.query('grant all on orders to app')
  const env = { DATABASE_URL: `postgres://app:app@${server.host}:${server.port}/postgres` }
  await using crowd = new AsyncDisposableStack()
  const processes = await Promise.all(
    Array.from({ length: Math.ceil(functions / PER_PROCESS) }, () =>
      spawnFreezable(INSTANCE, { args: [driver, String(PER_PROCESS)], env }),
    ),
  )
  for (const each of processes) crowd.use(each)
  for (const each of processes) await each.freeze()
  const errors: Record<string, number> = {}
  const confirmed: string[] = []
  let worstMillis = 0
  let mostSessions = 0
  for (let call = 0; call < functions * rounds; call++) {
    const instance = processes[call % processes.length]
    const event: OrderEvent = call % 2 === 0 ? { action: 'place', id: randomUUID(), item: 'ice' } : { action: 'read' }
    const began = performance.now()
    const answer = instance?.call('invoke', { index: Math.floor(call / processes.length) % PER_PROCESS, event })
    await instance?.thaw()
    try {
      await answer
      if (event.action === 'place') confirmed.push(event.id)
    } catch (error) {
      const { message } = error as Error
      errors[message] = (errors[message] ?? 0) + 1
    }
    worstMillis = Math.max(worstMillis, performance.now() - began)
    await instance?.freeze()
    const { rows } = await server.query<{ count: number }>("select count(*)::int from pg_stat_activity where usename = 'app'")
    mostSessions = Math.max(mostSessions, rows[0]?.count ?? 0)
  }
  const { rows } = await server.query<{ token: string }>('select token from orders')
  const copies = (id: string) => rows.filter(({ token }) => token === id).length
  return {
    calls: functions * rounds,
    failed: Object.values(errors).reduce((all, count) => all + count, 0),
    errors,
    worstMillis,
    astray: confirmed.filter((id) => copies(id) !== 1).length,
    mostSessions,
  }
}
