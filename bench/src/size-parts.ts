/** Where the size of @thaw/pg comes from: room by room, and what it would take to halve it. */

import { bundleParts, measure, type Part } from './bundle.ts'
import type { Comparison } from './scenario.ts'

/** What a pool that only checks its connections could do without, and the files that are there for it alone. */
const FEATURES: readonly (readonly [string, RegExp])[] = [
  ['transactions, batches, `once`, idempotency keys', /pool\/src\/transaction\/|core\/src\/(?:\w+-outcome|fingerprint|kept-rows|rerun)\./],
  ['shared reads, and what tells a read', /\/(?:sharing|shareable|shared-reads|shared-connection|ledger|share|harmless|outline)\./],
  ['fleets', /pool\/src\/fleet\/|core\/src\/(?:fleet|pace|room|by-hand)\./],
  ['asking about silent statements, and cancelling them', /pool\/src\/inquiry\//],
  ['channels for tracing tools, `logTo`', /\/(?:traced-\w+|diagnostics|broadcast|narrate)\./],
  ['several hosts', /\/hosts\./],
  ['Cloudflare Workers: connections of a request', /\/scope\/|core\/src\/scope\./],
  ['statements prepared by themselves', /\/(?:prepared|statement-cache)\./],
]

/** Two tables: by room, and by what could be left out. */
export async function compareParts(): Promise<Comparison[]> {
  const parts = await bundleParts()
  const rooms = [...new Set(parts.map(({ file }) => roomOf(file)))]
  const byRoom = rooms.map((room) => ({ name: `\`${room}\``, ...savedBy(parts, ({ file }) => roomOf(file) === room) }))
  const features = FEATURES.map(([name, files]) => ({ name, ...savedBy(parts, ({ file }) => files.test(file)) }))
  const every = savedBy(parts, ({ file }) => FEATURES.some(([, files]) => files.test(file)))
  const whole = measure(joined(parts))
  return [
    { columns: ['room', 'gzipped', 'minified'], rows: largestFirst(byRoom) },
    {
      columns: ['left out', 'gzipped', 'minified'],
      rows: [...largestFirst(features), ['**all of these**', `${kb(every.gzipped)} of ${kb(whole.gzipped)}`, kb(every.minified)]],
    },
  ]
}

interface Saving {
  readonly minified: number
  readonly gzipped: number
}

function largestFirst(savings: readonly (Saving & { readonly name: string })[]): string[][] {
  return savings.toSorted((a, b) => b.gzipped - a.gzipped).map(({ name, minified, gzipped }) => [name, kb(gzipped), kb(minified)])
}

export function kb(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`
}

/** By how much the bundle is smaller without the parts that `isOut` names. */
function savedBy(parts: readonly Part[], isOut: (part: Part) => boolean): Saving {
  const whole = measure(joined(parts))
  const rest = measure(joined(parts.filter((part) => !isOut(part))))
  return { minified: whole.minified - rest.minified, gzipped: whole.gzipped - rest.gzipped }
}

function joined(parts: readonly Part[]): string {
  return parts.map(({ text }) => text).join('')
}

/** `pool/src/checkout`, `core`: a folder of the pool, or a package. */
function roomOf(file: string): string {
  return /^packages\/(pool\/src\/\w+(?=\/)|\w+)/.exec(file)?.[1] ?? file
}
