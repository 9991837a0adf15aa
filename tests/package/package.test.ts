/** What is published works, installed in an empty project: from ES modules and CommonJS, bundled, typed, at both ends of its peers' range. */

import { access } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { type PostgresServer, startPostgres } from '@thaw/testkit'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ROOT } from '../house/repository.ts'
import { FACTS } from './facts.ts'
import { type Consumer, install, type Packed, packAll, run } from './packed.ts'

const TSC = join(ROOT, 'node_modules/.bin/tsc')

/** Both ends of `"pg": ">=8.11"`. An installation of 8.11.0 would take today's pg-pool: its contemporary has to be asked for. */
const PEERS = [
  { peers: { pg: '8.11.0', '@types/pg': '8.11.0' }, forced: { 'pg-pool': '3.6.0' } },
  { peers: { pg: '8.23.1', '@types/pg': '8.23.1' }, forced: {} },
]

let server: PostgresServer
let packed: Packed
let nodes: string[]

beforeAll(async () => {
  ;[server, packed, nodes] = await Promise.all([startPostgres(), packAll(), findNodes()])
})
afterAll(async () => {
  await server.close()
  await packed[Symbol.asyncDispose]()
})

describe.for(PEERS)('@thaw/pg beside pg $peers.pg', ({ peers, forced }) => {
  let consumer: Consumer

  beforeAll(async () => {
    consumer = await install(packed, { ...peers, '@types/node': '24.10.1' }, forced)
  })
  afterAll(() => consumer[Symbol.asyncDispose]())

  test('can be imported', async () => {
    for (const node of nodes) expect(await facts(node, 'imported.mjs')).toEqual(FACTS)
  })

  test('can be required', async () => {
    for (const node of nodes) expect(await facts(node, 'required.cjs')).toEqual(FACTS)
  })

  test.for(['esm', 'cjs'] as const)('can be bundled and minified, as %s', async (format) => {
    const outfile = `bundle.${format === 'esm' ? 'mjs' : 'cjs'}`
    // pg's own CommonJS asks for node: modules by `require`, which an ES module has not.
    const banner = format === 'esm' ? "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" : ''
    await build({
      absWorkingDir: consumer.folder,
      entryPoints: ['bundled.mjs'],
      outfile,
      format,
      bundle: true,
      minify: true,
      platform: 'node',
      target: 'node20',
      external: ['pg-native'],
      banner: { js: banner },
      logLevel: 'error',
    })
    expect(await facts(process.execPath, outfile)).toEqual(FACTS)
  })

  test('has types for ES modules and CommonJS', async () => {
    const failed = await run(TSC, ['--project', consumer.folder, '--pretty', 'false']).then(
      () => '',
      (error: { stdout: string }) => error.stdout,
    )
    expect(failed).toBe('')
  })

  async function facts(node: string, script: string): Promise<unknown> {
    const env = { PATH: process.env['PATH'], DATABASE_URL: server.url }
    const { stdout } = await run(node, [script], { cwd: consumer.folder, env })
    return JSON.parse(stdout)
  }
})

/** Each Node on the PATH: the house's own, and the host's, which may be as old as 20. */
async function findNodes(): Promise<string[]> {
  const versions = new Map<string, string>()
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const node = join(folder, 'node')
    if (
      !(await access(node).then(
        () => true,
        () => false,
      ))
    )
      continue
    const { stdout } = await run(node, ['--version'])
    if (!versions.has(stdout)) versions.set(stdout, node)
  }
  return [...versions.values()]
}
