/** How much longer a cold start gets: the first import in a fresh process. */

import { evaluate } from './run-child.ts'
import type { Row, Scenario } from './scenario.ts'
import { figureOf } from './statistics.ts'

const PAIRS = 40

const WAYS = [
  { says: '`import`', load: (name: string) => `await import('${name}')` },
  { says: '`require`', load: (name: string) => `require('${name}')` },
]

export const importTime: Scenario = {
  name: 'import-time',
  title: 'Import time in a fresh process',
  async run({ quick, progress }) {
    const rows: Row[] = []
    for (const { says, load } of WAYS) {
      const pg: number[] = []
      const thaw: number[] = []
      for (let pair = 0; pair < (quick ? 3 : PAIRS); pair++) {
        progress(`${says}: ${pair + 1}`)
        // A B B A, so that neither always comes second.
        const order = pair % 2 === 0 ? (['pg', '@thaw/pg'] as const) : (['@thaw/pg', 'pg'] as const)
        for (const name of order) (name === 'pg' ? pg : thaw).push(await timeOf(load(name)))
      }
      rows.push({
        measured: says,
        unit: 'ms',
        pg: figureOf(pg),
        thaw: figureOf(thaw),
        ratio: figureOf(thaw.map((millis, index) => millis / (pg[index] ?? 1))),
      })
    }
    return { rows, notes: ['`@thaw/pg` imports `pg`: the difference is what Thaw itself takes.'] }
  },
}

function timeOf(statement: string): Promise<number> {
  return evaluate<number>(`
    import { createRequire } from 'node:module'
    const require = createRequire(process.cwd() + '/')
    const before = performance.now()
    ${statement}
    console.log(performance.now() - before)
  `)
}
