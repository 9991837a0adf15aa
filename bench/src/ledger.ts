/** The ledger of random faults, for a quarter of an hour, or `--minutes N`: what callers are told, against the table. `--history FILE` keeps it for judges that are not ours. */

import { spawn } from 'node:child_process'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Row, Scenario } from './scenario.ts'

const SCRIPT = join(import.meta.dirname, '../../tests/faults/ledger-run.ts')
const MINUTES = 15
/** One round, whatever it takes. */
const QUICK_MINUTES = 0.1
const MOST_LINES = 20

interface Progress {
  readonly round: number
  readonly seconds: number
  readonly calls: number
  readonly violations: number
}

interface Outcome {
  readonly seed: number
  readonly rounds: number
  readonly calls: number
  /** Of each kind of call, how often its callers were told what. */
  readonly told: Readonly<Record<string, Readonly<Record<string, number>>>>
  readonly struck: Readonly<Record<string, number>>
  readonly violations: readonly string[]
}

export const ledger: Scenario = {
  name: 'ledger',
  title: 'Writes of two runtimes under random faults',
  async run({ quick, progress, minutes = quick ? QUICK_MINUTES : MINUTES, history }) {
    progress(`${minutes} min`)
    const outcome = await runLedger(minutes, history, ({ round, seconds, calls, violations }) =>
      progress(`round ${round}, ${Math.floor(seconds / 60)} of ${minutes} min, ${calls} calls, ${violations} wrong`),
    )
    const { violations, struck, seed, rounds } = outcome
    const list = (counts: Readonly<Record<string, number>>) => Object.entries(counts).map(([name, count]) => `${count} ${name}`)
    return {
      rows: [
        {
          measured: `calls in ${rounds} rounds; nothing doubled, nothing told that is not so`,
          unit: 'calls',
          thaw: { value: outcome.calls },
          target: { says: '0 wrong', met: violations.length === 0 },
        },
        ...Object.entries(outcome.told).map(([kind, told]): Row => {
          const { unknown = 0, ...others } = told
          const all = Object.values(told).reduce((sum, count) => sum + count, 0)
          return {
            measured: `${kind}: ${list({ ...others, ...(unknown && { unknown }) }).join(', ')}`,
            unit: 'calls',
            thaw: { value: all },
          }
        }),
      ],
      notes: [
        `Struck: ${list(struck).join(', ')}. Again: node tests/faults/ledger-run.ts --seed ${seed}`,
        ...(history === undefined ? [] : [`What callers were told, in Jepsen's shape: ${resolve(history)}`]),
        ...violations.slice(0, MOST_LINES).map((line) => `- wrong: ${line}`),
      ],
    }
  },
}

async function runLedger(minutes: number, history: string | undefined, tell: (progress: Progress) => void): Promise<Outcome> {
  const args = [SCRIPT, '--minutes', String(minutes), ...(history === undefined ? [] : ['--history', resolve(history)])]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let outcome: Outcome | undefined
  for await (const line of createInterface({ input: child.stdout })) {
    const said = JSON.parse(line) as Progress | Outcome
    if ('rounds' in said) outcome = said
    else tell(said)
  }
  if (!outcome) throw new Error(`The ledger ended with code ${child.exitCode}, without an outcome.`)
  return outcome
}
