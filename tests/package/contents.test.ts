/** What is in the packages, as `pnpm pack` makes them: what runs, its types and sources, and nothing of this house. */

import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { find, read } from '../house/repository.ts'
import { type Packed, packAll, run } from './packed.ts'

/** README and licence come along unasked. Sources are there because the maps lead to them. */
const EXPECTED = /^(?:package\.json|README\.md|LICENSE|dist\/[\w-]+\.(?:mjs|cjs|d\.mts|d\.cts|mjs\.map|cjs\.map)|src\/[\w-]+(?:\.d)?\.ts)$/
/** What each package holds at most, packed. The largest, with its maps, has 1,014,596: a picture, a database, a copy of something would be found. */
const MOST_BYTES = 1_200_000

const names: string[] = []
for (const path of await find('packages/*/package.json')) {
  const manifest = JSON.parse(await read(path))
  if (!manifest.private) names.push(manifest.name)
}

let packed: Packed
let place: string

beforeAll(async () => {
  packed = await packAll()
  place = await mkdtemp(join(tmpdir(), 'thaw-contents-'))
})
afterAll(async () => {
  await rm(place, { recursive: true, force: true })
  await packed[Symbol.asyncDispose]()
})

test('all that is published is looked at', () => {
  expect([...packed.tarballs.keys()].sort()).toEqual([...names].sort())
})

describe.for(names)('%s', (name) => {
  let files: string[]
  let folder: string

  beforeAll(async () => {
    const tarball = packed.tarballs.get(name) ?? ''
    const { stdout } = await run('tar', ['-tzf', tarball])
    files = stdout.trim().split('\n')
    await run('tar', ['-xzf', tarball, '-C', place])
    folder = join(place, name.replace('/', '-'))
    await run('mv', [join(place, 'package'), folder])
    expect((await readFile(tarball)).length).toBeLessThan(MOST_BYTES)
  })

  test('holds what runs, its types and its sources, and nothing else', () => {
    const inside = files.map((file) => file.replace(/^package\//, ''))
    expect(inside).toEqual(
      expect.arrayContaining(['package.json', 'README.md', 'LICENSE', 'dist/index.mjs', 'dist/index.cjs', 'src/index.ts']),
    )
    expect(inside.filter((file) => !EXPECTED.test(file) || /\.(?:test|config)\.ts$/.test(file))).toEqual([])
  })

  test('has every file that its manifest names, and asks for versions that a registry knows', async () => {
    const text = await readFile(join(folder, 'package.json'), 'utf8')
    const named = [...new Set([...text.matchAll(/"\.\/(dist\/[^"]+)"/g)].map((match) => `package/${match[1]}`))]
    expect(named.length).toBeGreaterThan(3)
    expect(named.filter((file) => !files.includes(file))).toEqual([])
    expect(text).not.toMatch(/"(?:workspace|catalog|link|file):/)
  })

  test('says nothing of the machine that it was built on', async () => {
    for (const file of files.filter((path) => path.endsWith('.map'))) {
      const { sources } = JSON.parse(await readFile(join(folder, file.replace(/^package\//, '')), 'utf8')) as { sources: string[] }
      expect(
        sources.filter((source) => isAbsolute(source) || source.includes('node_modules/.pnpm')),
        file,
      ).toEqual([])
    }
  })
})
