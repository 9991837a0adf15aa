/** Workers: what Thaw adds to the upload, and to the CPU time of a request, beside a client of plain pg made by hand in each request. */

import { readdir, readFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { createTestHarness, type TestHarness } from 'wrangler'
import type { Figure, Row, Scenario, Setting } from './scenario.ts'
import { figureOf } from './statistics.ts'

const TARGET_KB = 10
/** So few that a lane is soon the other one's turn; /proc counts in ticks of 10 ms. */
const REQUESTS = 20
const LANES = ['hand', 'again', 'thaw', 'wrapped'] as const
type Lane = (typeof LANES)[number]

export const workers: Scenario = {
  name: 'workers',
  title: 'Cloudflare Workers, in workerd',
  async run(setting) {
    const [plain, pool, whole] = await Promise.all([
      bundle("import { Pool } from 'pg'"),
      bundle("import { Pool } from '@thaw/pg'"),
      bundle("import { Pool } from '@thaw/pg'; export { withThaw } from '@thaw/cloudflare'"),
    ])
    const samples = await measure(setting)
    const hand = figureOf(samples.hand)
    return {
      rows: [
        sizeOf('a Worker with the pool', plain, pool),
        sizeOf('and with `withThaw`', plain, whole),
        costOf('CPU of a request with three statements, the pool found by asking the runtime', hand, figureOf(samples.thaw)),
        costOf('the same, in `withThaw`', hand, figureOf(samples.wrapped)),
        costOf('the same by hand once more: the noise', hand, figureOf(samples.again)),
      ],
      notes: [
        'By hand: a new client of plain pg in each request, as Cloudflare advises. CPU time of workerd, from /proc, in chunks turn by turn.',
      ],
    }
  },
}

function sizeOf(measured: string, plain: number, thaw: number): Row {
  const added = (thaw - plain) / 1000
  return {
    measured: `${measured} (adds ${added.toFixed(1)} kB)`,
    unit: 'kB',
    pg: { value: plain / 1000 },
    thaw: { value: thaw / 1000 },
    target: { says: `adds < ${TARGET_KB}`, met: added < TARGET_KB },
  }
}

function costOf(measured: string, pg: Figure, thaw: Figure): Row {
  return { measured, unit: 'ms', pg, thaw, ratio: { value: thaw.value / pg.value } }
}

/** As Wrangler would: its conditions, minified, gzipped. What the runtime has is left out. */
async function bundle(imports: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents: `${imports}\nexport const pool = new Pool()`, resolveDir: import.meta.dirname },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'es2022',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['cloudflare:*', 'pg-native'],
    write: false,
    logLevel: 'silent',
  })
  return gzipSync(outputFiles[0]?.contents ?? '', { level: 9 }).length
}

async function measure({ postgres, quick, progress }: Setting): Promise<Record<Lane, number[]>> {
  Object.assign(process.env, { WRANGLER_SEND_METRICS: 'false', CLOUDFLARE_CF_FETCH_ENABLED: 'false' })
  const { url } = await postgres()
  const config = {
    name: 'bench',
    main: new URL('worker.ts', import.meta.url).pathname,
    compatibility_date: '2026-11-01',
    compatibility_flags: ['nodejs_compat'],
    vars: { DATABASE_URL: url },
  }
  const worker = createTestHarness({ workers: [{ config }] })
  await worker.listen()
  const samples: Record<Lane, number[]> = { hand: [], again: [], thaw: [], wrapped: [] }
  try {
    const rounds = quick ? 3 : 15
    for (let round = 0; round < rounds; round++) {
      for (const lane of round % 2 === 0 ? LANES : LANES.toReversed()) {
        const millis = await chunk(worker, lane === 'again' ? 'hand' : lane)
        // The first round warms the compiler up.
        if (round > 0) samples[lane].push(millis)
      }
      progress(`round ${round + 1} of ${rounds}`)
    }
  } finally {
    await worker.close()
  }
  return samples
}

async function chunk(worker: TestHarness, path: string): Promise<number> {
  const before = await cpuMillis()
  for (let n = 0; n < REQUESTS; n++) {
    const response = await worker.fetch(`/${path}`)
    if ((await response.text()) !== 'ok') throw new Error(`/${path} answered ${response.status}.`)
  }
  return ((await cpuMillis()) - before) / REQUESTS
}

/** https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: utime and stime are the 14th and 15th, in ticks of 10 ms; the parent is the 4th. */
async function cpuMillis(): Promise<number> {
  let ticks = 0
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (stat.includes('(workerd)') && Number(fields[1]) === process.pid) ticks += Number(fields[11]) + Number(fields[12])
  }
  return ticks * 10
}
