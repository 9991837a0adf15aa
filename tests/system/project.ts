/** A newcomer's project: an empty folder, the packed packages and those of the page installed in it, and the page's own snippets as its files. */

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { read } from '../house/repository.ts'
import { snippetsOf } from '../house/snippets.ts'
import { type Packed, pnpm } from '../package/packed.ts'
import { startProgram } from '../platforms/child-program.ts'

/** Packages that do not work before their own scripts have run. */
const BUILT = { bun: true, deno: true, esbuild: true, workerd: true }
const POLL_MILLIS = 50
/** The first start of a bundler on a loaded machine. */
const START_LIMIT_MILLIS = 120_000

export interface ProjectOptions {
  readonly packed: Packed
  /** From each package to its version. Packages of Thaw come from `packed`. */
  readonly dependencies: Readonly<Record<string, string>>
  /** The document whose snippets with a name (`file=…`) become files of the project. */
  readonly page?: string
  /** Files beside them, by their paths. They win over those of the page. */
  readonly files?: Readonly<Record<string, string>>
}

export interface Project extends AsyncDisposable {
  readonly folder: string
  /** Runs a program of the project to its end. Rejects with what it wrote if it fails. */
  run(command: readonly string[], env?: Readonly<Record<string, string>>): Promise<string>
  /** Starts a program that listens at `$PORT` of `$HOST`, and resolves when it answers. Each `PORT` in the command is replaced by the port. */
  serve(command: readonly string[], env?: Readonly<Record<string, string>>): Promise<Served>
}

/** A server that runs. */
export interface Served extends AsyncDisposable {
  readonly url: string
  readonly pid: number
  /** What it has written so far. */
  readonly output: string
}

export async function createProject({ packed, dependencies, page, files = {} }: ProjectOptions): Promise<Project> {
  const folder = await mkdtemp(join(tmpdir(), 'thaw-project-'))
  const ours = Object.fromEntries([...packed.tarballs].map(([name, path]) => [name, `file:${path}`]))
  const all = Object.fromEntries(Object.entries(dependencies).map(([name, version]) => [name, ours[name] ?? version]))
  const manifest = { name: 'newcomer', version: '1.0.0', private: true, type: 'module', dependencies: all }
  const settings = { overrides: ours, allowBuilds: BUILT, strictDepBuilds: false }
  await save(folder, {
    'package.json': JSON.stringify(manifest),
    'pnpm-workspace.yaml': JSON.stringify(settings),
    ...(page === undefined ? {} : await filesOf(page)),
    ...files,
  })
  await pnpm(folder, 'install', '--prefer-offline')
  return {
    folder,
    run: (command, env) => startProgram(folder, command, env).ended(),
    async serve(command, env) {
      const port = String(await findFreePort())
      const words = command.map((word) => word.replaceAll('PORT', port))
      const { child, output, kill } = startProgram(folder, words, { HOST: '127.0.0.1', PORT: port, ...env })
      const url = `http://127.0.0.1:${port}`
      try {
        await answers(url, child)
      } catch (cause) {
        await kill()
        throw new Error(`${words.join(' ')} does not answer.\n${output()}`, { cause })
      }
      return {
        url,
        pid: child.pid ?? 0,
        get output() {
          return output()
        },
        [Symbol.asyncDispose]: kill,
      }
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true, maxRetries: 3 }),
  }
}

/** The named snippets of a document. */
async function filesOf(page: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {}
  for (const { info, code } of snippetsOf(page, await read(page))) {
    const name = info.find((word) => word.startsWith('file='))?.slice('file='.length)
    if (name) files[name] = `${code}\n`
  }
  return files
}

async function save(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
}

async function answers(url: string, child: ChildProcess): Promise<void> {
  const limit = performance.now() + START_LIMIT_MILLIS
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('It has ended.')
    const isUp = await fetch(url, { signal: AbortSignal.timeout(START_LIMIT_MILLIS) }).then(
      async (response) => {
        await response.body?.cancel()
        return true
      },
      () => false,
    )
    if (isUp) return
    if (performance.now() > limit) throw new Error(`It has not answered within ${START_LIMIT_MILLIS} ms.`)
    await sleep(POLL_MILLIS)
  }
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
