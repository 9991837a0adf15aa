/** What the pages of docs/start say to write into wrangler.jsonc and vercel.json: read by Wrangler itself, and by a parser where there is nothing better here. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { unstable_readConfig } from 'wrangler'
import { find, ROOT, read } from '../house/repository.ts'
import { type Snippet, snippetsOf } from '../house/snippets.ts'

let folder: string
const snippets: Snippet[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thaw-configurations-'))
  for (const page of await find('docs/start/*.md')) snippets.push(...snippetsOf(page, await read(page)))
})
afterAll(() => rm(folder, { recursive: true }))

test('each is JSON', () => {
  const json = snippets.filter(({ info }) => info[0] === 'json')
  expect(json.length).toBeGreaterThan(1)
  for (const { page, line, code } of json) expect(() => JSON.parse(code), `${page}:${line}`).not.toThrow()
})

test("Wrangler knows all that a Worker's says, and would say what it does not know", async () => {
  const warned = vi.spyOn(console, 'warn').mockImplementation(() => {})
  const workers = snippets.filter(({ code, info }) => info[0] === 'json' && code.includes('compatibility_date'))
  expect(workers.length).toBeGreaterThan(0)
  const config = join(folder, 'wrangler.json')
  for (const { page, line, code } of workers) {
    await writeFile(config, code)
    expect(unstable_readConfig({ config }).compatibility_flags, `${page}:${line}`).toContain('nodejs_compat')
  }
  for (const path of await find('apps/*/wrangler.jsonc')) {
    expect(unstable_readConfig({ config: join(ROOT, path) }).compatibility_flags, path).toContain('nodejs_compat')
  }
  expect(warned.mock.calls).toEqual([])
  await writeFile(config, JSON.stringify({ hyperdrives: [] }))
  unstable_readConfig({ config })
  expect(String(warned.mock.calls)).toContain('hyperdrives')
  warned.mockRestore()
})
