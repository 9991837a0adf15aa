/**
 * The faults, as data: what happens in the world, how it is done here, and how the lab knows that it was done. A fault that
 * leaves no trace stops the lab: figures of a fault that did not strike are worth nothing.
 */

import { connect } from 'node:net'
import type { CutKind, LoseRequestOptions } from '@thaw/testkit'
import { type Database, until } from './database.ts'
import { LabError } from './lab-error.ts'
import type { Scene } from './scene.ts'

/** A fault. */
export interface Fault {
  readonly name: string
  /** What happens in the real world, in one sentence. */
  readonly happens: string
  /** What a database must be for it: the lab's own (to restart it, or for the table of keys), or one that is reached by name. Default: any. */
  readonly needs?: 'own-server' | 'own-tables' | 'host-name'
  /** A write is lost that was sent: here a retry by hand, plain `pg`'s third lane, shows what it does. */
  readonly losesWrite?: true
  /** How many of the pool's ten connections are open when it strikes. Default 8: a pool can show what it does with new ones. */
  readonly warmCalls?: number
  /** Freezes the instance, strikes, thaws it, and makes sure that the fault struck. Two more calls follow. */
  play(scene: Scene): Promise<void>
}

const AWAY_MILLIS = 2_000
const NAMELESS_MILLIS = 1_000

/** All faults, mildest first. */
export const FAULTS: readonly Fault[] = [
  {
    name: 'none',
    happens: 'The process is frozen for a moment, and all of its connections stay alive.',
    async play({ freeze, burst, proxy, warmCount, mustStrike }) {
      await freeze()
      await burst()
      // Here the proof is that no call failed.
      mustStrike('connections left alone', proxy.flows.filter(({ state }) => state === 'open').length, warmCount)
    },
  },
  {
    name: 'server-closed',
    happens: 'An administrator or a timeout of the server ends the sessions: an error message and a FIN wait in each socket.',
    async play({ freeze, burst, database, warmCount, mustStrike, signal }) {
      await freeze(async () => {
        mustStrike('sessions ended', await database.terminateSessions(), warmCount)
        await until('the sessions to be gone', async () => (await database.countSessions()) === 0, signal)
      })
      await burst()
    },
  },
  { name: 'fin', happens: 'A load balancer or a proxy closes connections that were idle for too long.', play: playCut('fin') },
  { name: 'rst', happens: 'A firewall resets connections that were idle for too long.', play: playCut('rst') },
  {
    name: 'fin-on-next-byte',
    happens: 'A proxy has forgotten the connections, and closes each one when its next byte arrives.',
    play: playCutOnNextByte('fin-on-next-byte'),
  },
  {
    name: 'rst-on-next-byte',
    happens: 'A NAT gateway has forgotten the connections, and answers the next byte of each one with RST.',
    play: playCutOnNextByte('rst-on-next-byte'),
  },
  {
    name: 'silent-drop',
    happens: 'The connections are dropped silently: bytes vanish, and no answer ever comes.',
    play: playSilentDrop,
  },
  {
    name: 'silent-drop-full',
    happens:
      'All ten connections of a full pool are forgotten like that: there is no room for another one before one of the dead is given up.',
    warmCalls: 10,
    play: playSilentDrop,
  },
  {
    name: 'database-away',
    happens: 'A failover: the connections are closed, and new ones are refused for two seconds after the thaw.',
    async play({ freeze, burst, proxy, warmCount, mustStrike, sleep }) {
      await freeze(async () => {
        mustStrike('connections closed', proxy.away(), warmCount)
        mustStrike('dials refused', await countRefused(proxy.port), 1)
      })
      await burst(async () => {
        await sleep(AWAY_MILLIS)
        await proxy.accept()
      })
    },
  },
  {
    name: 'server-restarted',
    happens: 'The server is restarted during the freeze, as for an update: all sessions end, and it is back before the thaw.',
    needs: 'own-server',
    async play({ freeze, burst, database, warmCount, mustStrike }) {
      await freeze(async () => {
        const before = await database.countSessions()
        await database.restart?.()
        mustStrike('sessions ended', before - (await database.countSessions()), warmCount)
      })
      await burst()
    },
  },
  {
    name: 'dns-failing',
    happens: 'The connections are reset, and for one second after the thaw the name server does not answer.',
    needs: 'host-name',
    async play({ freeze, burst, instance, sleep, mustStrike, ...cutting }) {
      await instance.call('setNamesFailing', true)
      await freeze(() => cutAll('rst', { ...cutting, mustStrike }))
      await burst(async () => {
        await sleep(NAMELESS_MILLIS)
        mustStrike('lookups failed', await instance.call<number>('setNamesFailing', false), 1)
      })
    },
  },
  {
    name: 'request-lost',
    losesWrite: true,
    happens: 'A connection breaks under a statement that was sent: the server never sees it, and the client cannot know that.',
    async play({ freeze, burst, settle, proxy, requests, call, mustStrike, database }) {
      await freeze()
      await burst()
      await settle()
      const order = requests.place()
      const ambush = proxy.loseNextRequest(aimAt(order.id, database))
      await call(order, true)
      ambush.cancel()
      mustStrike('requests lost', proxy.counters.struck['lost-request'], 1)
    },
  },
  {
    name: 'answer-lost',
    losesWrite: true,
    happens: 'A connection breaks after the server has stored an order and before its answer arrives: who repeats it stores it twice.',
    async play({ freeze, burst, settle, proxy, requests, call, mustStrike, database }) {
      await freeze()
      await burst()
      await settle()
      const order = requests.place()
      const ambush = proxy.loseNextAnswer(aimAt(order.id, database))
      await call(order, true)
      ambush.cancel()
      mustStrike('answers lost', proxy.counters.struck['lost-answer'], 1)
      mustStrike('orders stored all the same', (await database.countRows()).filter(({ token }) => token === order.id).length, 1)
    },
  },
  {
    name: 'request-lost-transaction',
    losesWrite: true,
    happens: 'A connection breaks under the COMMIT of an order: the server never sees it, and the client cannot know that unless it asks.',
    play: (scene) => playLostCommit('loseNextRequest', scene),
  },
  {
    name: 'answer-lost-transaction',
    losesWrite: true,
    happens: 'A connection breaks after the server has committed an order and before its answer arrives.',
    play: (scene) => playLostCommit('loseNextAnswer', scene),
  },
  {
    name: 'request-lost-key',
    needs: 'own-tables',
    losesWrite: true,
    happens: 'A connection breaks under an order that has an idempotency key: the server never sees it.',
    play: (scene) => playLostKey('loseNextRequest', scene),
  },
  {
    name: 'answer-lost-key',
    needs: 'own-tables',
    losesWrite: true,
    happens: 'A connection breaks after the server has stored an order that has an idempotency key, and before its answer arrives.',
    play: (scene) => playLostKey('loseNextAnswer', scene),
  },
  {
    name: 'frozen-mid-query',
    happens: 'The process is frozen while statements of it run, and finds all of its connections reset when it wakes up.',
    async play({ freeze, burst, database, requests, call, signal, ...cutting }) {
      const sent = [requests.read(), requests.place(), requests.placeAll()]
      {
        // A lock keeps the statements running for as long as the lab wants. When it is lifted, the server executes them.
        await using _lock = await database.lockTable()
        for (const event of sent) void call(event, true)
        await until('the statements to run', async () => (await database.countBlocked()) === sent.length, signal)
        await freeze(() => cutAll('rst', cutting))
      }
      await burst()
    },
  },
]

/** The fault of that name. Throws, with the names that there are, if there is none. */
export function findFault(name: string): Fault {
  const fault = FAULTS.find((known) => known.name === name)
  if (fault) return fault
  throw new LabError(`There is no fault '${name}'. There are: ${FAULTS.map((known) => known.name).join(', ')}.`)
}

/** Which request an ambush waits for. Inside TLS the order's token cannot be read: then it is the next request there is. */
function aimAt(token: string, { isPlain }: Database): LoseRequestOptions {
  return isPlain ? { containing: token } : {}
}

type Cutting = Pick<Scene, 'proxy' | 'warmCount' | 'mustStrike'>

function cutAll(kind: CutKind, { proxy, warmCount, mustStrike }: Cutting): void {
  mustStrike('connections cut', proxy.cut(kind), warmCount)
}

async function playLostCommit(lose: 'loseNextRequest' | 'loseNextAnswer', scene: Scene): Promise<void> {
  const { freeze, burst, settle, proxy, requests, call, mustStrike, database } = scene
  await freeze()
  await burst()
  await settle()
  // Inside TLS the proxy cannot read which statement it is. Then it is the first one.
  const ambush = proxy[lose](database.isPlain ? { containing: 'COMMIT' } : {})
  await call({ ...requests.place(), whole: true }, true)
  ambush.cancel()
  const struck = proxy.counters.struck[lose === 'loseNextRequest' ? 'lost-request' : 'lost-answer']
  mustStrike('COMMITs lost', struck, 1)
}

async function playLostKey(lose: 'loseNextRequest' | 'loseNextAnswer', scene: Scene): Promise<void> {
  const { freeze, burst, settle, proxy, requests, call, mustStrike, database } = scene
  await freeze()
  await burst()
  await settle()
  const order = { ...requests.place(), keyed: true } as const
  const ambush = proxy[lose](aimAt(order.id, database))
  await call(order, true)
  ambush.cancel()
  const struck = proxy.counters.struck[lose === 'loseNextRequest' ? 'lost-request' : 'lost-answer']
  mustStrike('orders lost', struck, 1)
}

function playCut(kind: CutKind): Fault['play'] {
  return async ({ freeze, burst, ...cutting }) => {
    await freeze(() => cutAll(kind, cutting))
    await burst()
  }
}

function playCutOnNextByte(kind: 'fin-on-next-byte' | 'rst-on-next-byte'): Fault['play'] {
  return async (scene) => {
    await playCut(kind)(scene)
    // The cut above only lies in wait.
    scene.mustStrike('connections that met their end', scene.proxy.counters.struck[kind], 1)
  }
}

async function playSilentDrop(scene: Scene): Promise<void> {
  await playCut('drop')(scene)
  scene.mustStrike('bytes swallowed', scene.proxy.counters.bytesLost, 1)
}

async function countRefused(port: number): Promise<number> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(0)
    })
    socket.once('error', () => resolve(1))
  })
}
