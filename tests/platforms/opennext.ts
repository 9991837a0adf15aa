/** Next.js on Cloudflare: an app built by OpenNext, and served by `wrangler dev`. */

import { writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { NEXT, type NextServer, runNode, serverOf } from './next-server.ts'

const { resolve } = createRequire(import.meta.url)
const OPENNEXT = join(dirname(resolve('@opennextjs/cloudflare')), '../cli/index.js')
const WRANGLER = join(dirname(resolve('wrangler/package.json')), 'bin/wrangler.js')

/** As `opennextjs-cloudflare build`. Rejects with what it says if the app cannot be built. */
export async function buildWorker(folder: string): Promise<void> {
  await runNode(folder, [OPENNEXT, 'build'], { BUILD_COMMAND: `"${process.execPath}" "${NEXT}" build` }).ended()
}

/**
 * As `opennextjs-cloudflare preview`, which calls `wrangler dev`. Not Wrangler's test harness, as for other Workers: in it, no WebSocket to the outside
 * can be opened. `variables` are those that a deployed Worker gets from its settings.
 */
export async function serveWorker(folder: string, variables: Readonly<Record<string, string>>): Promise<NextServer> {
  const lines = Object.entries(variables).map(([name, value]) => `${name}='${value}'\n`)
  await writeFile(join(folder, '.dev.vars'), lines.join(''))
  const args = ['dev', '--ip', '127.0.0.1', '--port', '0', '--inspector-port', '0', '--show-interactive-dev-session=false']
  return serverOf(runNode(folder, [WRANGLER, ...args]), 'Ready on')
}
