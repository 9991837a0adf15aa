/**
 * Nitro's build for Vercel, as docs/start/nitro.md has it, in the emulation of Fluid compute: the instance is suspended between two requests, and its connections die
 * meanwhile. db0's own connector fails the requests that follow; on Thaw all are answered. `attachPool` leaves no session behind.
 */

import { access, glob, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { startVercel, waitForSessions } from '@thaw/testkit'
import { expect, test } from 'vitest'
import { ON_NODE } from './frameworks.ts'
import { PATIENCE_MILLIS, packed, proxy, server, useOrdersWorld } from './orders-world.ts'
import { createProject } from './project.ts'

const AT_ONCE = 8

/** As the page's, and attached where the test says so. */
const DB = `import { Pool } from '@thaw/pg'
import { db0Connector } from '@thaw/pg/db0'
import { attachPool } from '@thaw/vercel'
import { createDatabase } from 'db0'

const created = new Pool({ connectionString: process.env.DATABASE_URL })
export const pool = process.env.ATTACHED ? attachPool(created) : created
export const db = createDatabase(db0Connector(pool))`

useOrdersWorld()

/** What Vercel would load: https://vercel.com/docs/build-output-api/primitives#serverless-functions */
async function functionIn(folder: string): Promise<string> {
  for await (const path of glob('.vercel/output/functions/*.func/.vc-config.json', { cwd: folder })) {
    const { handler } = JSON.parse(await readFile(join(folder, path), 'utf8')) as { handler: string }
    const file = join(folder, dirname(path), handler)
    await access(file)
    return file
  }
  throw new Error('Nitro has built no function.')
}

test.each(['Nitro 2', 'Nitro 3'])(
  '%s',
  async (name) => {
    const { dependencies, files, page, build = [], route, before } = ON_NODE[name] ?? {}
    const config = files?.['nitro.config.ts']?.replace('compatibilityDate', "preset: 'vercel', compatibilityDate") ?? ''
    expect(config).toContain("preset: 'vercel'")
    await using project = await createProject({
      packed,
      ...(page !== undefined && { page }),
      dependencies: { ...dependencies, '@thaw/vercel': 'packed' },
      files: { ...files, 'nitro.config.ts': config, 'server/utils/db.ts': DB },
    })
    for (const command of build) await project.run(command)
    const file = await functionIn(project.folder)
    const app = name.replace(' ', '-').toLowerCase()
    const env = (suffix: string) => ({ DATABASE_URL: `${proxy.urlFor(server.url)}?application_name=${app}-${suffix}` })

    await using instance = await startVercel(file, { env: env('thaw') })
    const burst = async (path: string): Promise<number[]> => {
      const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => instance.request(path)))
      return answers.map(({ status }) => status)
    }
    const allWell = Array<number>(AT_ONCE).fill(200)
    expect((await instance.request(route ?? '')).body).toContain('water')
    for (const how of ['rst', 'rst-on-next-byte', 'drop'] as const) {
      expect(await burst(route ?? '')).toEqual(allWell)
      await instance.suspended()
      expect(proxy.cut(how), how).toBeGreaterThan(0)
      expect(await burst(route ?? ''), how).toEqual(allWell)
    }
    expect(await burst(before ?? '')).toEqual(allWell)
    await instance.suspended()
    proxy.cut('rst-on-next-byte')
    expect(await burst(before ?? '')).not.toEqual(allWell)

    await using attached = await startVercel(file, { env: { ...env('attached'), ATTACHED: '1' } })
    expect((await attached.request(route ?? '')).status).toBe(200)
    await attached.suspended()
    await waitForSessions(server, `${app}-attached`, 0)
  },
  PATIENCE_MILLIS,
)
