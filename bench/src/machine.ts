/** Where the figures come from: figures without a machine mean nothing. */

import { cpus, loadavg, totalmem } from 'node:os'

export interface Machine {
  readonly node: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGB: number
  readonly platform: string
  /** Processes that wanted to run, on average over the last minute. Above the number of cores the machine was busy with other things. */
  readonly load: number
  readonly postgres: string | undefined
}

export function describeMachine(postgres: string | undefined): Machine {
  const list = cpus()
  return {
    node: process.version,
    cpu: list[0]?.model.trim() ?? 'unknown',
    cores: list.length,
    memoryGB: Math.round(totalmem() / 1e9),
    platform: `${process.platform} ${process.arch}`,
    load: loadavg()[0] ?? 0,
    postgres,
  }
}

export function renderMachine({ node, cpu, cores, memoryGB, platform, load, postgres }: Machine): string {
  const server = postgres === undefined ? '' : ` · PostgreSQL ${postgres}`
  return `Node ${node} · ${platform} · ${cores} × ${cpu} · ${memoryGB} GB · load ${load.toFixed(1)}${server}`
}
