/**
 * Measures Thaw beside plain `pg`, and prints a table per scenario. It reports and does not gate: the exit code is 0 unless something could not
 * be measured.
 *
 *     pnpm bench [name …] [--quick] [--json file]
 *     pnpm bench ledger [--minutes N] [--history file]
 */

import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { type PostgresServer, startPostgres } from '@thaw/testkit'
import { describeMachine, renderMachine } from './machine.ts'
import { renderReport } from './report.ts'
import type { Report, Scenario, Setting } from './scenario.ts'
import { scenarios } from './scenarios.ts'

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'string' },
    quick: { type: 'boolean', default: false },
    minutes: { type: 'string' },
    history: { type: 'string' },
  },
})
const minutes = values.minutes === undefined ? undefined : Number(values.minutes)
if (minutes !== undefined && !(minutes > 0)) {
  console.error(`--minutes is "${values.minutes}", but must be a number above 0.`)
  process.exit(1)
}

const chosen = choose(positionals)
const reports: (Report & { readonly name: string })[] = []
const failures: string[] = []
let server: Promise<PostgresServer> | undefined

for (const scenario of chosen) {
  try {
    const report = await scenario.run(settingFor(scenario))
    clearLine()
    console.log(renderReport(scenario, report))
    reports.push({ name: scenario.name, ...report })
  } catch (error) {
    clearLine()
    console.error(`${scenario.name} could not be measured:`, error)
    failures.push(scenario.name)
  }
}

const postgres = await server
const machine = describeMachine(postgres?.version)
console.log(renderMachine(machine))
await postgres?.close()
if (values.json !== undefined)
  await writeFile(values.json, `${JSON.stringify({ machine, quick: values.quick, reports, failures }, undefined, 2)}\n`)
process.exitCode = failures.length > 0 ? 1 : 0

function choose(names: readonly string[]): readonly Scenario[] {
  const unknown = names.filter((name) => !scenarios.some((scenario) => scenario.name === name))
  if (unknown.length > 0) {
    console.error(`There is no scenario "${unknown.join('", "')}". There are: ${scenarios.map(({ name }) => name).join(', ')}.`)
    process.exit(1)
  }
  return scenarios.filter(({ name, byNameOnly }) => (names.length === 0 ? !byNameOnly : names.includes(name)))
}

function settingFor({ name }: Scenario): Setting {
  return {
    quick: values.quick,
    ...(minutes !== undefined && { minutes }),
    ...(values.history !== undefined && { history: values.history }),
    postgres() {
      server ??= startPostgres({ settings: { max_connections: 100 } })
      return server
    },
    progress(text) {
      process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${name}: ${text}` : `${name}: ${text}\n`)
    },
  }
}

function clearLine(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
}
