/** What is shipped, where its size comes from, and how it grew. */

import { type Bundle, bundle } from './bundle.ts'
import { writeSentence, writeTable } from './page.ts'
import type { Comparison, Row, Scenario } from './scenario.ts'
import { compareHistory } from './size-history.ts'
import { compareParts, kb } from './size-parts.ts'

const TARGET_KB = 4
const PAGE = 'docs/reference/measurements.md'

export const size: Scenario = {
  name: 'size',
  title: 'Size, minified and gzipped (1 kB = 1000 bytes)',
  async run({ quick, progress }) {
    const core = await bundle("export * from '@thaw/core'", [])
    const pg = await bundle("export * from '@thaw/pg'", ['pg', '@thaw/core'])
    const both = await bundle("export * from '@thaw/pg'", ['pg'])
    const used = await bundle(`export {${importedNames(pg.text)}} from '@thaw/core'`, [])
    const peer = await bundle("export * from 'pg'", ['pg-native', 'pg-cloudflare'])
    const [rooms, features] = await compareParts()
    const tables: Record<string, Comparison | undefined> = {
      size: compare(both, pg, used, core, peer),
      'size-rooms': rooms,
      'size-features': features,
      // Two minutes: each commit is bundled.
      'size-history': quick ? undefined : await compareHistory(progress),
    }
    if (!quick) await write(tables, both, peer)
    return {
      rows: [
        rowOf('`@thaw/core`, all of it', core, true),
        rowOf('`@thaw/core`, what `@thaw/pg` uses of it', used, true),
        rowOf('`@thaw/pg` without core', pg, true),
        { ...rowOf('`@thaw/pg` with core, beside `pg` itself', both, false), pg: { value: peer.gzipped / 1000 } },
      ],
      comparisons: Object.values(tables).filter((table) => table !== undefined),
      notes: quick ? [] : [`Written into ${PAGE}, README.md and docs/start/cloudflare.md.`],
    }
  },
}

async function write(tables: Readonly<Record<string, Comparison | undefined>>, both: Bundle, peer: Bundle): Promise<void> {
  for (const [name, table] of Object.entries(tables)) if (table) await writeTable(PAGE, name, table)
  const [ours, others] = [kb(both.gzipped), kb(peer.gzipped)]
  const times = (Number.parseFloat(ours) / Number.parseFloat(others)).toFixed(1)
  await writeSentence(
    'README.md',
    /adds [\d.]+ kB, minified and gzipped: [\d.]+ times `pg` itself \([\d.]+ kB\)/,
    `adds ${ours}, minified and gzipped: ${times} times \`pg\` itself (${others})`,
  )
  await writeSentence('docs/start/cloudflare.md', /[\d.]+ kB beside `pg`'s [\d.]+/, `${ours} beside \`pg\`'s ${others.replace(' kB', '')}`)
}

function compare(both: Bundle, pg: Bundle, used: Bundle, core: Bundle, peer: Bundle): Comparison {
  const row = (name: string, { gzipped, minified }: Bundle): string[] => [name, kb(gzipped), kb(minified)]
  return {
    columns: ['', 'gzipped', 'minified'],
    rows: [
      row('`@thaw/pg` with core, what is added to your bundle', both),
      row('of that, `@thaw/pg`', pg),
      row('of that, what it uses of `@thaw/core`', used),
      row('`@thaw/core`, all of it', core),
      row('`pg` itself, for comparison', peer),
    ],
  }
}

function rowOf(measured: string, { minified, gzipped }: Bundle, hasTarget: boolean): Row {
  return {
    measured: `${measured} (minified ${kb(minified)})`,
    unit: 'kB',
    thaw: { value: gzipped / 1000 },
    ...(hasTarget && { target: { says: `aim: ${TARGET_KB} kB`, met: gzipped <= TARGET_KB * 1000 } }),
  }
}

/** The names that a minified bundle imports from core. */
function importedNames(text: string): string {
  const list = /import\{([^}]*)\}from"@thaw\/core"/.exec(text)?.[1]
  if (list === undefined) throw new Error('The bundle of @thaw/pg imports nothing from @thaw/core.')
  // What is both used and exported again appears twice.
  return [...new Set(list.split(',').map((item) => item.split(' as ')[0]))].join(',')
}
