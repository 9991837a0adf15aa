/** What is published can be resolved, from ES modules and CommonJS, with types: as publint and Are The Types Wrong see it. */

import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Packed, packAll } from '../package/packed.ts'
import { find, ROOT, read } from './repository.ts'

const run = promisify(execFile)
const BIN = join(ROOT, 'tests/node_modules/.bin')

interface Manifest {
  readonly name: string
  readonly private?: boolean
  readonly [field: string]: unknown
}

const manifests: Manifest[] = []
for (const path of await find('packages/*/package.json')) manifests.push(JSON.parse(await read(path)) as Manifest)
const published = manifests.filter((manifest) => !manifest.private)

let packed: Packed

beforeAll(async () => {
  packed = await packAll()
})
afterAll(() => packed[Symbol.asyncDispose]())

describe.for(published)('$name', ({ name, ...manifest }) => {
  test('has nothing that publint finds', async () => {
    expect(await complaints('publint', ['run', tarball(), '--strict'])).toBe('')
  })

  test('has types that are not wrong', async () => {
    expect(await complaints('attw', [tarball(), '--profile', 'strict', '--no-color', '--no-emoji'])).toBe('')
  })

  test('says the same of itself as its siblings', async () => {
    const house = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
    const { version, license, type, engines, sideEffects, scripts, repository } = manifest as Record<string, unknown>
    expect({ version, license, type, engines, sideEffects, repository }).toEqual({
      version: house.version,
      license: house.license,
      type: 'module',
      engines: house.engines,
      sideEffects: false,
      // Provenance is refused to a package that names another repository than the one that it was built in.
      repository: { ...house.repository, directory: name.replace('@thaw', 'packages') },
    })
    expect(Object.keys(scripts as object)).toEqual(['build', 'test', 'check'])
  })

  test('introduces itself in the same order as its siblings', async () => {
    const page = await read(`${name.replace('@thaw', 'packages')}/README.md`)
    const [opening = ''] = page.split('\n```ts')
    expect(opening).toMatch(/^# (.+)\n\n\*\*.+\.\*\*\n\n```sh\nnpm install .+\n```\n(?:\nNot on npm yet: .+\n)?$/)
    expect(opening).toContain(`# ${name}\n`)
    expect(opening).toMatch(new RegExp(`npm install (.* )?${name}( |\\n)`))
    const sentence = /^\*\*(.+)\*\*$/m.exec(opening)?.[1]
    expect(sentence?.replace(/\[([^\]]+)\]\([^)]*\)/g, '$1').replaceAll('`', '')).toBe(manifest['description'])
    expect(page).toContain(`} from '${name}'`)
    expect(page).toMatch(/^Documentation: .*\.\.\/\.\.\/docs\/reference\/options\.md/m)
    expect(page.trimEnd()).toMatch(/MIT\.$/)
  })

  const tarball = () => packed.tarballs.get(name) ?? ''
})

/** What the program prints when it fails, and nothing when it does not. */
async function complaints(program: string, args: readonly string[]): Promise<string> {
  try {
    await run(join(BIN, program), args, { cwd: ROOT })
    return ''
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    return stdout + stderr || String(error)
  }
}
