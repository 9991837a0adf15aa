/** The faults of the matrix, as data: what happens, how it is done, what plain `pg` makes of it, how we know that it happened. */

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type CutKind,
  type FaultProxy,
  type FreezableProcess,
  type PostgresServer,
  sessionsOf,
  terminateSessions,
  waitForSessions,
} from '@thaw/testkit'
import { until } from './until.ts'

/** What a fault can lay its hands on. */
export interface Scene {
  readonly server: PostgresServer
  readonly proxy: FaultProxy
  readonly child: FreezableProcess
  /** The `application_name` of the pool. */
  readonly app: string
  /** Idle connections in the pool, all of them through the proxy. */
  readonly idle: number
}

/** A fault that has struck, or lies in wait. */
export interface Struck {
  /** What goes on while the request is served: a database that comes back, a slot that frees. */
  readonly meanwhile?: () => Promise<void>
  /** Throws unless the fault is seen to have struck, from outside. Asked when the calls have ended. */
  readonly prove: () => void | Promise<void>
  /** Sessions that the server cannot know to be dead: they are not the pool's to close. Default: none. */
  readonly orphans?: number
}

export interface Fault {
  readonly name: string
  /** What happens. */
  readonly sentence: string
  /** The process is stopped by SIGSTOP while it strikes, and the request has arrived before. Otherwise the process is awake and idle. */
  readonly frozen: boolean
  /** What plain `pg` does: fails a call, never ends one, or passes, which makes the fault a control that proves nothing about Thaw. */
  readonly plain: 'fails' | 'hangs' | 'passes'
  /** So many calls may fail on Thaw too: the bytes of a statement had been sent. Default: 0. */
  readonly mayFail?: number
  /** A statement is running when the process is frozen. Default: false. */
  readonly midQuery?: boolean
  /** What the strike does to the server is felt by all of its clients: it gets one of its own. Default: false. */
  readonly ownServer?: boolean
  /** Logs in as a role that may have no more sessions than there are idle connections. Default: as superuser. */
  readonly limited?: boolean
  /** The pool knows its server by a name instead of an address. Default: false. */
  readonly byName?: boolean
  readonly strike: (scene: Scene) => Promise<Struck>
}

/** How long the database stays away. Longer than any probe, shorter than the time that a caller waits for a connection. */
const AWAY_MILLIS = 2_000
/** How many connection attempts in a row fail, in faults of connection attempts. */
const BAD_DIALS = 2

async function nothing({ proxy }: Scene): Promise<Struck> {
  // On a machine that is too busy to answer in 10 ms Thaw may race one of them.
  return { prove: () => assert.ok(proxy.counters.flowsOpened <= 1, 'all connections live, so at most one is opened beside') }
}

async function serverCloses({ server, proxy, app, idle }: Scene): Promise<Struck> {
  const before = proxy.counters.chunksToClient
  const sessions = await sessionsOf(server, app)
  const told = await terminateSessions(server, app)
  // A pool with statements under way may have the next ones already.
  await until('they have ended', async () => (await sessionsOf(server, app)).every((one) => !sessions.some(({ pid }) => pid === one.pid)))
  // The last message of each session, passed on to a client that may be unable to read it.
  await until('57P01 is passed on', () => proxy.counters.chunksToClient >= before + idle)
  return { prove: () => assert.equal(told, idle) }
}

async function serverRestarts({ server, app }: Scene): Promise<Struck> {
  const pid = server.pid
  await server.restart()
  await waitForSessions(server, app, 0)
  return { prove: () => assert.notEqual(server.pid, pid) }
}

/** FIN or RST now: into the kernel of a frozen process, or seen at once by one that is awake. */
function cutNow(kind: 'fin' | 'rst') {
  return async ({ proxy, child, idle }: Scene): Promise<Struck> => {
    const struck = proxy.cut(kind)
    if (!child.isFrozen) {
      await until('the end is under way', () => proxy.flows.every((flow) => flow.state === 'closed'))
      // Plain pg would send its first statement on what it has not noticed.
      await child.call('readSockets')
    }
    return { prove: () => assert.deepEqual([struck, proxy.counters.struck[kind]], [idle, idle]) }
  }
}

/** Neither side is told before the next byte, or ever. */
function cutUnseen(kind: Exclude<CutKind, 'fin' | 'rst'>) {
  return async ({ proxy, idle }: Scene): Promise<Struck> => {
    const armed = proxy.cut(kind)
    const prove = () => {
      assert.equal(armed, idle)
      assert.ok(proxy.counters.struck[kind] > 0 && proxy.counters.bytesLost > 0, 'a byte was sent into the void')
    }
    return { prove, orphans: kind === 'drop' ? armed : 0 }
  }
}

async function goAway({ proxy, idle }: Scene): Promise<Struck> {
  const struck = proxy.away()
  const comeBack = async (): Promise<void> => {
    await sleep(AWAY_MILLIS)
    assert.equal(proxy.counters.flowsOpened, 0, 'no connection came through meanwhile')
    await proxy.accept()
  }
  return { meanwhile: comeBack, prove: () => assert.equal(struck, idle) }
}

async function loseRequest({ proxy }: Scene): Promise<Struck> {
  proxy.loseNextRequest()
  return { prove: () => assert.equal(proxy.counters.struck['lost-request'], 1) }
}

async function loseAnswer({ proxy }: Scene): Promise<Struck> {
  proxy.loseNextAnswer()
  return { prove: () => assert.equal(proxy.counters.struck['lost-answer'], 1) }
}

async function failNames(scene: Scene): Promise<Struck> {
  await scene.child.call('failDns', { times: BAD_DIALS })
  const cut = await cutNow('rst')(scene)
  const prove = async () => {
    await cut.prove()
    assert.equal(await scene.child.call('dnsFailures'), BAD_DIALS)
  }
  return { prove }
}

/** The connections are gone, but the server has not heard of it, and counts their sessions until they are terminated. */
async function fillServer({ server, proxy, app, idle }: Scene): Promise<Struck> {
  const struck = proxy.cut('rst', { server: 'hold' })
  await until('the client has noticed', () => proxy.flows.every((flow) => flow.state === 'closed'))
  await waitForSessions(server, app, idle)
  let refused = 0
  const makeRoom = async (): Promise<void> => {
    await until('a dial is refused', () => proxy.flows.filter(({ state }) => state === 'closed').length > idle)
    refused = proxy.flows.filter(({ state }) => state === 'closed').length - idle
    // In this order: while the limit holds, all sessions that there are are dead ones.
    await terminateSessions(server, app)
    await server.query(`ALTER ROLE "${app}" CONNECTION LIMIT -1`)
  }
  const prove = () => {
    assert.equal(struck, idle)
    assert.ok(refused > 0)
  }
  return { meanwhile: makeRoom, prove }
}

/** The next connection attempts break off inside the ServerHello; without TLS, inside the request for the password. */
async function cutHandshakes(scene: Scene): Promise<Struck> {
  const cut = await cutNow('rst')(scene)
  for (let dial = 0; dial < BAD_DIALS; dial++) scene.proxy.loseNextAnswer({ cut: 'fin', afterBytes: 10 })
  const prove = async () => {
    await cut.prove()
    // A pool that does not yet know of the deaths when the calls come may need only one connection attempt.
    assert.ok((scene.proxy.counters.struck['lost-answer'] ?? 0) >= 1)
  }
  return { prove }
}

const SILENT_CUTS = [
  {
    name: 'FIN at the next byte',
    how: 'the host has forgotten the connection, and answers the next byte with a FIN',
    kind: 'fin-on-next-byte',
  },
  {
    name: 'RST at the next byte',
    how: 'a NAT has forgotten the connection, and answers the next byte with an RST',
    kind: 'rst-on-next-byte',
  },
] as const

const IDLE_FAULTS: readonly Omit<Fault, 'frozen'>[] = [
  { name: 'server closed it', sentence: 'an administrator ends the sessions (57P01, FIN)', plain: 'fails', strike: serverCloses },
  { name: 'FIN', sentence: 'the other end closes', plain: 'fails', strike: cutNow('fin') },
  { name: 'RST', sentence: 'a firewall resets', plain: 'fails', strike: cutNow('rst') },
  ...SILENT_CUTS.map(({ name, how, kind }) => ({ name, sentence: how, plain: 'fails' as const, strike: cutUnseen(kind) })),
  { name: 'silently dropped', sentence: 'a NAT swallows all packets', plain: 'hangs', strike: cutUnseen('drop') },
]

/** An idle process that is awake sees what the kernel sees, so that pg-pool has thrown the connection away before the request. */
const SEEN_AWAKE: readonly string[] = ['server closed it', 'FIN', 'RST']

export const FAULTS: readonly Fault[] = [
  { name: 'no fault', sentence: 'awake and idle for a minute', frozen: false, plain: 'passes', strike: nothing },
  { name: 'frozen and alive', sentence: 'a freeze that does no harm', frozen: true, plain: 'passes', strike: nothing },
  ...IDLE_FAULTS.map((fault) => ({ ...fault, name: `frozen: ${fault.name}`, frozen: true })),
  ...IDLE_FAULTS.map((fault) => ({
    ...fault,
    name: `awake: ${fault.name}`,
    frozen: false,
    plain: SEEN_AWAKE.includes(fault.name) ? ('passes' as const) : fault.plain,
  })),
  { name: 'database away 2 s', sentence: 'FIN, then refused dials, then back', frozen: true, plain: 'fails', strike: goAway },
  { name: 'request lost', sentence: 'RST instead of delivery', frozen: false, plain: 'fails', mayFail: 1, strike: loseRequest },
  {
    name: 'answer lost',
    sentence: 'executed, then RST instead of the answer',
    frozen: false,
    plain: 'fails',
    mayFail: 1,
    strike: loseAnswer,
  },
  { name: 'DNS fails', sentence: 'connections gone, EAI_AGAIN twice', frozen: false, plain: 'fails', byName: true, strike: failNames },
  {
    name: 'too many connections',
    sentence: 'connections gone, 53300 until their sessions end',
    frozen: false,
    plain: 'fails',
    limited: true,
    strike: fillServer,
  },
  {
    name: 'server restarted',
    sentence: 'stopped and started during the freeze',
    frozen: true,
    plain: 'fails',
    ownServer: true,
    strike: serverRestarts,
  },
  {
    name: 'TLS session cut',
    sentence: 'connections gone, two handshakes cut in the middle',
    frozen: false,
    plain: 'fails',
    strike: cutHandshakes,
  },
  {
    name: 'frozen in mid-query',
    sentence: 'frozen while a statement runs, then RST',
    frozen: true,
    plain: 'fails',
    mayFail: 1,
    midQuery: true,
    strike: cutNow('rst'),
  },
]
