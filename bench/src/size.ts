/** What is shipped: minified by esbuild, compressed by gzip. */

import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import type { Row, Scenario } from './scenario.ts'

const TARGET_KB = 4

interface Bundle {
  readonly minified: number
  readonly gzipped: number
  readonly text: string
}

export const size: Scenario = {
  name: 'size',
  title: 'Size, minified and gzipped (1 kB = 1000 bytes)',
  async run() {
    const core = await bundle("export * from '@thaw/core'", [])
    const pg = await bundle("export * from '@thaw/pg'", ['pg', '@thaw/core'])
    const both = await bundle("export * from '@thaw/pg'", ['pg'])
    const used = await bundle(`export {${importedNames(pg.text)}} from '@thaw/core'`, [])
    const peer = await bundle("export * from 'pg'", ['pg-native', 'pg-cloudflare'])
    return {
      rows: [
        rowOf('`@thaw/core`, all of it', core, true),
        rowOf('`@thaw/core`, what `@thaw/pg` uses of it', used, true),
        rowOf('`@thaw/pg` without core', pg, true),
        { ...rowOf('`@thaw/pg` with core, beside `pg` itself', both, false), pg: { value: peer.gzipped / 1000 } },
      ],
    }
  },
}

function rowOf(measured: string, { minified, gzipped }: Bundle, hasTarget: boolean): Row {
  return {
    measured: `${measured} (minified ${(minified / 1000).toFixed(1)} kB)`,
    unit: 'kB',
    thaw: { value: gzipped / 1000 },
    ...(hasTarget && { target: { says: `aim: ${TARGET_KB} kB`, met: gzipped <= TARGET_KB * 1000 } }),
  }
}

async function bundle(contents: string, external: string[]): Promise<Bundle> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: import.meta.dirname },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'es2022',
    external,
    write: false,
    logLevel: 'silent',
  })
  const text = outputFiles[0]?.text ?? ''
  return { text, minified: Buffer.byteLength(text), gzipped: gzipSync(text, { level: 9 }).length }
}

/** The names that a minified bundle imports from core. */
function importedNames(text: string): string {
  const list = /import\{([^}]*)\}from"@thaw\/core"/.exec(text)?.[1]
  if (list === undefined) throw new Error('The bundle of @thaw/pg imports nothing from @thaw/core.')
  // What is both used and exported again appears twice.
  return [...new Set(list.split(',').map((item) => item.split(' as ')[0]))].join(',')
}
