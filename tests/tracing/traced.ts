/** Runs the scenario in a process that a tracing tool watches, and makes what the tool has seen comparable. */

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { FaultKind } from '@thaw/testkit'

export type Tool = 'opentelemetry' | 'sentry' | 'datadog'
export type Modules = 'CommonJS' | 'ES modules'

/** How to run it. */
export interface Run {
  readonly tool: Tool
  readonly modules: Modules
  /** The package of the Pool. */
  readonly name: string
  /** `host`, `port` and so on, or a connection string. */
  readonly config: Readonly<Record<string, unknown>>
  /** Are its connections cut and silenced? Not those of plain `pg`, which would not survive it. */
  readonly isHurt?: boolean
  /** The tool's own. */
  readonly options?: Readonly<Record<string, unknown>>
}

/** What the tool has seen of the driver. */
export interface Trace {
  /** `request > parent > name facts`, sorted: of statements, and of waiting for a connection. */
  readonly spans: readonly string[]
  /** The same of opening connections. */
  readonly connects: readonly string[]
  /** What has failed of the requests that were interrupted. They are not among the rest. */
  readonly failed: readonly string[]
  /** Values by name and attributes: while all connections are in use, while none is, and when the pool has ended. */
  readonly metrics: Readonly<Record<'busy' | 'idle' | 'ended', Readonly<Record<string, number>>>> | undefined
  /** How often each fault struck. */
  readonly struck: Readonly<Record<FaultKind, number>> | undefined
}

interface Span {
  readonly id: string
  readonly parent?: string
  readonly name: string
  readonly isRequest: boolean
  readonly facts: unknown
}

/** Requests that end before their time. Plain `pg` has no signals, and Datadog loses its spans where `query_timeout` strikes. */
const INTERRUPTED = /^(timed out|aborted|wait timed out)$/

/** The tools' own ways to say it. */
const hasFailed = ({ facts }: Span) => /"error":1|"code":2|"status":"internal_error"/.test(JSON.stringify(facts))

/** Differ from run to run, or say how long something took. */
const VOLATILE = /port$|^db\.connection_string$|^runtime-id$|^_dd\.|^_sampling|pid$|process_id|^exception\.stacktrace$|wait_time|^thread/

export async function traced({ tool, modules, name, config, isHurt = false, options = {} }: Run): Promise<Trace> {
  const ending = modules === 'CommonJS' ? 'cjs' : 'mjs'
  const path = (file: string) => fileURLToPath(new URL(file, import.meta.url))
  // Sentry wants to be imported, by programs of either kind.
  const values = ['--import', path(`${tool}.${ending}`), path(`app.${ending}`), name, JSON.stringify(config), isHurt ? 'hurt' : 'unhurt']
  const env = { ...process.env, TRACED_OPTIONS: JSON.stringify(options) }
  const { stdout } = await promisify(execFile)(process.execPath, values, { env, maxBuffer: 64 * 1024 * 1024 })
  const { spans, metrics, struck } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Pick<Trace, 'metrics' | 'struck'> & {
    spans: Span[]
  }
  const own = spans.filter(({ isRequest, name }) => !isRequest && !/^((tcp|dns)\.|POST )/.test(name))
  const isConnect = ({ name }: Span) => name === 'pg.connect'
  const isInterrupted = (span: Span) => INTERRUPTED.test(parentsOf(span, spans).at(-1)?.name ?? '')
  const lines = (some: readonly Span[]) => some.map((span) => lineOf(span, spans)).sort()
  const rest = own.filter((span) => !isConnect(span))
  return {
    spans: lines(rest.filter((span) => !isInterrupted(span))),
    connects: lines(own.filter(isConnect)),
    failed: rest
      .filter((span) => isInterrupted(span) && hasFailed(span))
      .map((span) => `${parentsOf(span, spans).at(-1)?.name}: ${/^pg.pool/.test(span.name) ? 'connection' : 'statement'}`),
    metrics,
    struck,
  }
}

function lineOf(span: Span, spans: readonly Span[]): string {
  const parents = parentsOf(span, spans).map(({ name }) => name)
  const path = [parents.at(-1) ?? 'none', ...(parents.length > 1 ? [parents[0]] : []), span.name]
  return `${path.join(' > ')} ${JSON.stringify(plain(span.facts))}`
}

function parentsOf({ parent }: Span, spans: readonly Span[]): Span[] {
  const found = spans.find(({ id }) => id === parent)
  return found ? [found, ...parentsOf(found, spans)] : []
}

/** Without what differs from run to run, the keys in order. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, one]) => {
    // The frames beneath are those of the pool that it is.
    if (key === 'error.stack') return [key, String(one).split('\n')[0]] as const
    return [key, VOLATILE.test(key) || key.endsWith('pool.name') ? 'varies' : plain(one)] as const
  })
  return Object.fromEntries(entries.sort(([one], [other]) => (String(one) < String(other) ? -1 : 1)))
}
