/** The published packages, as they are published: packed, and installed in an empty project. */

import { execFile } from 'node:child_process'
import { cp, glob, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from '../house/repository.ts'

const execute = promisify(execFile)

/** Runs a program, and rejects with what it printed if it fails. */
export function run(
  file: string,
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string | undefined> } = {},
): Promise<{ stdout: string }> {
  return execute(file, args, options)
}

export interface Packed extends AsyncDisposable {
  /** From the name of each published package to its tarball. */
  readonly tarballs: ReadonlyMap<string, string>
}

/** Packs every package that is not private. They must have been built. */
export async function packAll(): Promise<Packed> {
  const place = await mkdtemp(join(tmpdir(), 'thaw-packed-'))
  const tarballs = new Map<string, string>()
  // All at once: pnpm takes a second to start.
  await pnpm(ROOT, '--recursive', '--filter', './packages/*', 'pack', '--pack-destination', place)
  for await (const manifest of glob('packages/*/package.json', { cwd: ROOT })) {
    const { name, version, private: isPrivate } = JSON.parse(await readFile(join(ROOT, manifest), 'utf8'))
    if (isPrivate) continue
    tarballs.set(name, join(place, `${name.slice(1).replace('/', '-')}-${version}.tgz`))
  }
  return { tarballs, [Symbol.asyncDispose]: () => rm(place, { recursive: true, force: true }) }
}

/** An empty project in which the packages have been installed. */
export interface Consumer extends AsyncDisposable {
  readonly folder: string
}

/**
 * Installs `@thaw/pg` in a project of its own, beside the given versions of its peers. The project has the files of `consumer/`.
 *
 * @param forced - versions of packages below them that a new installation would not choose any more.
 */
export async function install(
  packed: Packed,
  peers: Readonly<Record<string, string>>,
  forced: Readonly<Record<string, string>> = {},
): Promise<Consumer> {
  const folder = await mkdtemp(join(tmpdir(), 'thaw-consumer-'))
  const tarballs = Object.fromEntries([...packed.tarballs].map(([name, path]) => [name, `file:${path}`]))
  const dependencies = { '@thaw/pg': tarballs['@thaw/pg'], ...peers }
  await cp(new URL('consumer', import.meta.url), folder, { recursive: true })
  await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true, dependencies }))
  // JSON is YAML. Our packages are not in a registry yet, so what they need of each other comes from the tarballs too.
  await writeFile(join(folder, 'pnpm-workspace.yaml'), JSON.stringify({ overrides: { ...tarballs, ...forced } }))
  await pnpm(folder, 'install', '--prefer-offline', '--ignore-scripts')
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
}

export async function pnpm(cwd: string, ...args: string[]): Promise<void> {
  try {
    await run('pnpm', args, { cwd })
  } catch (cause) {
    // What went wrong is in its output. A test that says only that pnpm failed does not help.
    const { stdout = '', stderr = '' } = cause as { stdout?: string; stderr?: string }
    throw new Error(`pnpm ${args[0]} failed in ${cwd}. Is pnpm on the PATH? It is under "pnpm test".\n${stdout}${stderr}`, { cause })
  }
}
