/** A client outside of a pool, with several hosts: it can be connected once only, so another one looks for the host before. */

import { systemClock } from '@thaw/core'
import type { PeerClient } from '../driver/peer.ts'
import { type HostPlan, type HostStep, hostPlanOf, optionsAt, planHosts } from '../options/hosts.ts'
import { settingsAlone } from '../options/options.ts'
import { judgeDial } from './dial-failure.ts'
import { HostOrder } from './hosts.ts'
import { limitLogin } from './limit-login.ts'
import { watchKind } from './session-kind.ts'

type ClientClass = new (options: object) => PeerClient
type Connected = (error: Error | null | undefined, client?: unknown) => void

/** What a client of its own is to be made from: with several hosts, the first of them. */
export function optionsAlone(config: object | string | undefined, isSupported: boolean): object | string | undefined {
  const given = typeof config === 'string' ? { connectionString: config } : (config ?? {})
  settingsAlone(given)
  const options: Record<string, unknown> = { ...given }
  // Not enumerable in a pool's options, from which people make clients.
  if ('password' in given) options['password'] = given.password
  planHosts(options, isSupported)
  return hostPlanOf(options) ? options : config
}

/**
 * Connects it to the first host that has the wanted session. As with libpq, `connectionTimeoutMillis` is for each host, and a host that refuses
 * the login ends the search.
 *
 * @param options what {@link optionsAlone} returned.
 * @param Client for the clients that look for it.
 * @param connect connects the client itself.
 */
export async function connectAlone(
  client: PeerClient,
  options: object,
  Client: ClientClass,
  connect: () => Promise<unknown>,
): Promise<void> {
  const plan = hostPlanOf(options) as HostPlan
  const step = plan.steps.length > 1 ? await find(client, options, plan, Client) : (plan.steps[0] as HostStep)
  if (client._ending) throw new Error('Connection terminated')
  const judge = watchKind(client, step.wants, plan)
  await connect()
  await judged(judge).catch((wrong: Error) => {
    client.end().catch(() => {})
    throw wrong
  })
}

async function find(client: PeerClient, options: object, plan: HostPlan, Client: ClientClass): Promise<HostStep> {
  const order = new HostOrder(plan, systemClock)
  for (;;) {
    const step = order.next()
    const scout = new Client(optionsAt(options, step))
    scout.on('error', () => {})
    limitLogin(scout, systemClock)
    try {
      const judge = watchKind(scout, step.wants, plan)
      await scout.connect()
      await judged(judge)
      // All that differs between hosts. TLS verifies the name that it is told when it connects.
      const where = { host: scout.host, port: scout.port }
      Object.assign(client, where)
      Object.assign(client.connectionParameters ?? {}, where)
      return step
    } catch (error) {
      if (judgeDial(error) !== 'again' || !order.failed(step)) throw error
    } finally {
      scout.end().catch(() => {})
    }
  }
}

function judged(judge: (done: (error: Error | undefined) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => judge((error) => (error ? reject(error) : resolve())))
}

/** With node-postgres' two ways to be told. */
export function tell(work: Promise<unknown>, callback: Connected | undefined, client: unknown): Promise<unknown> | undefined {
  if (!callback) return work.then(() => client)
  work.then(
    () => callback(null, client),
    (error: Error) => callback(error),
  )
  return undefined
}
