/** One fault, once, on one driver: start an instance, warm it up, let the fault do its worst, count. */

import { spawnFreezable, startFaultProxy } from '@thaw/testkit'
import { type Call, observeCall } from './call.ts'
import { type Database, until } from './database.ts'
import type { Fault } from './faults.ts'
import { type Figures, tally } from './figures.ts'
import { LabError } from './lab-error.ts'
import type { InstanceRecord } from './record/instance-record.ts'
import { createRecording, type Recording } from './record/recording.ts'
import { createWitness } from './record/witness.ts'
import { createRequests } from './requests.ts'
import { createScene, settleProxy } from './scene.ts'

/** The two drivers that are compared. */
export type Driver = 'pg' | 'thaw'

/** `retry`: plain pg, and what blogs advise. */
export type Lane = Driver | 'retry'

/** What came of a round. */
export interface RoundResult {
  readonly figures: Figures
  readonly recording: Recording
}

/** What a round needs. */
export interface RoundSetting {
  readonly driver: Lane
  readonly database: Database
  readonly seed: number
  readonly signal: AbortSignal
  readonly tell: (step: string) => void
}

const INSTANCE = new URL('./instance.ts', import.meta.url)
const WARM_CALLS = 8
// Sessions of an instance that was killed end when their statements have.
const GONE_LIMIT_MILLIS = 15_000

/** Plays the round. Throws a {@link LabError} if the fault did not strike, so that no meaningless figures are shown. */
export async function playRound(fault: Fault, { driver, seed, signal, tell, ...setting }: RoundSetting): Promise<RoundResult> {
  signal.throwIfAborted()
  tell('starting')
  const calls: Promise<Call>[] = []
  const requests = createRequests(seed, driver === 'retry' ? `${fault.name}, retried` : fault.name)
  const witness = createWitness()
  // Recorded, because the last thing that a server says on a connection is when it ended it.
  await using proxy = witness.proxy(await startFaultProxy(setting.database.target, { record: true }))
  const database = witness.database(setting.database, proxy)
  const spawned = await spawnFreezable(INSTANCE, {
    args: [driver],
    env: { DATABASE_URL: database.urlThrough(proxy.port), ORDERS_TABLE: database.table },
  })
  await using instance = witness.instance(spawned)
  const kill = (): void => void instance.kill()
  signal.addEventListener('abort', kill)
  try {
    const warmUps = await warmUp(Array.from({ length: fault.warmCalls ?? WARM_CALLS }, () => observeCall(instance, requests.read(), false)))
    // A connection that is still being opened when the fault strikes would be struck in a way that the fault does not mean.
    await settleProxy(proxy, database.quietMillis, signal)
    const warmCount = proxy.flows.filter(({ state }) => state === 'open').length
    const scene = createScene({ database, proxy, instance, requests, warmCount, signal, tell }, fault.name, calls)
    await fault.play(scene)
    tell('two more calls')
    for (const event of requests.pair()) await scene.call(event)
    const ended = await Promise.all(calls)
    signal.throwIfAborted()
    tell('counting')
    const record = await instance.call<InstanceRecord>('takeRecord')
    const recording = createRecording({ warmUps, calls: ended, flows: proxy.flows, witness, instance: record })
    await instance.kill()
    await proxy.close()
    await until('the sessions of the instance to be gone', async () => (await database.countSessions()) === 0, signal, GONE_LIMIT_MILLIS)
    return { figures: tally(ended, await database.countRows(), instance.uncaught), recording }
  } finally {
    signal.removeEventListener('abort', kill)
  }
}

async function warmUp(calls: readonly Promise<Call>[]): Promise<readonly Call[]> {
  const ended = await Promise.all(calls)
  const failed = ended.find(({ failure }) => failure !== undefined)
  if (failed) throw new LabError(`The database does not answer, before anything was done to it: ${failed.failure}`)
  return ended
}
