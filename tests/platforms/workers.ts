/** Workers in the runtime of Cloudflare itself, workerd, which Wrangler brings. Bundled by Wrangler, as `wrangler deploy` would. */

import { resolve } from 'node:path'
import { createTestHarness, type TestHarness, type TestHarnessOptions } from 'wrangler'

type InlineConfig = Extract<TestHarnessOptions['workers'][number], { config: unknown }>['config']

/** Nothing leaves the machine: no figures of use, and no look-up of what Cloudflare says of a request. */
const OFFLINE = { WRANGLER_SEND_METRICS: 'false', CLOUDFLARE_CF_FETCH_ENABLED: 'false' }

export interface Answer {
  readonly status: number
  readonly body: unknown
}

/** A Worker that runs. */
export interface Worker extends AsyncDisposable {
  /** Sends a GET, and returns what came: JSON where it is, else the text. Rejects after `patienceMillis`. Default: for ever. */
  get(path: string, patienceMillis?: number): Promise<Answer>
  /** What it has written to its console. */
  logs(): string
  /** Wrangler's own harness, for all else. */
  readonly harness: TestHarness
}

/** Starts the Worker of a module in `workers/`, or of one elsewhere, by its path. `config` as in wrangler.jsonc. */
export async function startWorker(module: string, config: Partial<InlineConfig> = {}): Promise<Worker> {
  Object.assign(process.env, OFFLINE)
  const main = resolve(import.meta.dirname, 'workers', module)
  const all = { name: 'thaw', main, compatibility_date: '2026-11-01', compatibility_flags: ['nodejs_compat'], ...config }
  const harness = createTestHarness({ workers: [{ config: all }] })
  await harness.listen()
  return {
    harness,
    async get(path, patienceMillis) {
      const response = await harness.fetch(path, patienceMillis === undefined ? {} : { signal: AbortSignal.timeout(patienceMillis) })
      const text = await response.text()
      const isJson = response.headers.get('content-type')?.startsWith('application/json')
      return { status: response.status, body: isJson ? JSON.parse(text) : text }
    },
    logs: () =>
      harness
        .getLogs()
        .map(({ message }) => message)
        .join('\n'),
    [Symbol.asyncDispose]: () => harness.close(),
  }
}
