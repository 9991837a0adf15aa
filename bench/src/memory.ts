/** What a pool and a connection hold on to, in V8's heap and beside it. */

import type { PeerName } from './peers.ts'
import { evaluate } from './run-child.ts'
import type { Row, Scenario } from './scenario.ts'
import { figureOf } from './statistics.ts'

const PROCESSES = 9
const POOLS = 1000
const CONNECTIONS = 50

interface Held {
  readonly pool: number
  readonly connection: number
}

export const memory: Scenario = {
  name: 'memory',
  title: 'Memory, after garbage collection',
  async run({ postgres, quick, progress }) {
    const { url } = await postgres()
    const held: Record<PeerName, Held[]> = { pg: [], thaw: [] }
    for (let index = 0; index < (quick ? 3 : PROCESSES); index++) {
      for (const peer of ['pg', 'thaw'] as const) {
        progress(`${peer}: ${index + 1}`)
        held[peer].push(await measure(peer, url))
      }
    }
    const rowOf = (measured: string, what: keyof Held): Row => {
      const pg = held.pg.map((sample) => sample[what])
      const thaw = held.thaw.map((sample) => sample[what])
      return {
        measured,
        unit: 'bytes',
        pg: figureOf(pg),
        thaw: figureOf(thaw),
        ratio: figureOf(thaw.map((bytes, index) => bytes / (pg[index] ?? 1))),
      }
    }
    return { rows: [rowOf('a pool that was never used', 'pool'), rowOf('an idle connection', 'connection')] }
  },
}

function measure(peer: PeerName, url: string): Promise<Held> {
  const source = `
    import { openConnections, openPool } from './peers.ts'
    const open = () => openPool('${peer}', { connectionString: '${url}', max: ${CONNECTIONS} })
    const settled = async () => {
      for (let turn = 0; turn < 5; turn++) {
        await new Promise((resolve) => setImmediate(resolve))
        gc()
      }
      const { heapUsed, external } = process.memoryUsage()
      return heapUsed + external
    }
    // Compiled code and what Node loads on first use are charged to neither side.
    for (let round = 0; round < 2; round++) {
      const warm = open()
      await openConnections(warm, ${CONNECTIONS})
      await warm.end()
    }
    const pools = []
    for (let index = 0; index < ${POOLS}; index++) pools.push(undefined)
    const before = await settled()
    for (let index = 0; index < ${POOLS}; index++) pools[index] = open()
    const withPools = await settled()
    const [first] = pools
    await openConnections(first, ${CONNECTIONS})
    const withConnections = await settled()
    console.log(JSON.stringify({ pool: (withPools - before) / ${POOLS}, connection: (withConnections - withPools) / ${CONNECTIONS} }))
    await first.end()
  `
  return evaluate<Held>(source, { nodeArgs: ['--expose-gc'] })
}
